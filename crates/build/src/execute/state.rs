use std::path::PathBuf;

use tandem_image::Layer;
use tandem_model::Digest;

use super::document::{Document, History};
use crate::{cache::Made, tree::Layers};

/// A stage as far as it has come.
#[derive(Debug, Clone)]
pub(super) struct State {
    /// The image configuration.
    pub(super) document: Document,
    /// Layers, bottom first.
    pub(super) layers: Vec<Layer>,
    /// Chain id of the topmost layer.
    pub(super) chain: Option<Digest>,
    /// The layers unpacked, bottom first.
    pub(super) dirs: Vec<PathBuf>,
    /// Arguments declared so far, with their values.
    pub(super) arguments: Vec<(String, Option<String>)>,
    /// This stage has a CMD of its own.
    pub(super) own_cmd: bool,
    /// Time for folders that nobody described: the base image's.
    pub(super) time: (i64, i64),
}

impl State {
    pub(super) fn scratch() -> Self {
        Self {
            document: Document::scratch(),
            layers: Vec::new(),
            chain: None,
            dirs: Vec::new(),
            arguments: Vec::new(),
            own_cmd: false,
            time: (0, 0),
        }
    }

    /// What a further stage begins with. ARGs stay in scope, as in BuildKit.
    pub(super) fn child(&self) -> Self {
        let mut child = self.clone();
        child.own_cmd = false;
        child
    }

    /// The file system so far.
    pub(super) fn view(&self) -> Layers {
        Layers::new(&self.dirs)
    }

    /// A variable's value. ARG and ENV of one name: the later one counts.
    pub(super) fn value(&self, name: &str) -> Option<String> {
        let argument = self.arguments.iter().find(|(key, _)| key == name);
        if let Some((_, Some(value))) = argument {
            return Some(value.clone());
        }
        self.document.config.variable(name).map(str::to_owned)
    }

    /// Declares an argument, or gives it a new value.
    pub(super) fn declare(&mut self, name: &str, value: Option<String>) {
        match self.arguments.iter_mut().find(|(key, _)| key == name) {
            // Named again without a value it keeps the one that it has.
            Some((_, old)) => *old = value.or_else(|| old.take()),
            None => self.arguments.push((name.to_owned(), value)),
        }
    }

    /// Sets a variable of the image; an argument of that name is over.
    pub(super) fn set_variable(&mut self, name: &str, value: &str) {
        self.arguments.retain(|(key, _)| key != name);
        self.document.config.set_variable(name, value);
    }

    /// The arguments that RUN sees, `NAME=value`.
    pub(super) fn visible_arguments(&self) -> Vec<(String, String)> {
        let known = |(name, value): &(String, Option<String>)| Some((name.clone(), value.clone()?));
        self.arguments.iter().filter_map(known).collect()
    }

    /// Takes over what a step made.
    pub(super) fn adopt(&mut self, made: &Made, dir: Option<PathBuf>, created_by: String) {
        let empty_layer = made.layer.is_none();
        if let Some(layer) = &made.layer {
            self.layers.push(layer.layer());
            self.chain = Some(layer.chain_id.clone());
            self.dirs.extend(dir);
        }
        self.document.created = Some(made.created.clone());
        self.document.history.push(History {
            created: Some(made.created.clone()),
            created_by: Some(created_by),
            author: None,
            comment: Some("tandem".to_owned()),
            empty_layer,
        });
    }
}
