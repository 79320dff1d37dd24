//! An image of 250 MB gets ready to run, from an archive or a registry.

use std::{path::PathBuf, rc::Rc};

use anyhow::Result;
use nix::unistd::sync;

use crate::bench::{
    claim::{Bound, Claim},
    field::Field,
    measure::{Contender, Measure, Prepare, Reading, Unit},
    peers::{BIG, DOCKER, Engine, Registry, Tandem},
    stage::Stage,
};

const CLAIMS: &[Claim] =
    &[Claim::Ratio { above: DOCKER, below: "container", bound: Bound::AtLeast(2.0) }];

const EQUAL: &str = "Half of the bytes compress well, half not at all. Before each trial the image is gone from \
     the engine and all that is to be written to the disk has been. Afterwards it is unpacked, \
     ready to run. Both sync their small records; neither waits until all files of the layers \
     are on the disk.";

pub(super) const LOAD: Measure = Measure {
    name: "load",
    title: "`load -i` of a 250 MB archive",
    unit: Unit::Time,
    claims: CLAIMS,
    notes: &[EQUAL],
    contenders: &[("container", LOADING), (DOCKER, LOADING)],
};

pub(super) const PULL: Measure = Measure {
    name: "pull",
    title: "`pull` of the same image from a registry on loopback",
    unit: Unit::Time,
    claims: CLAIMS,
    notes: &[EQUAL],
    contenders: &[("container", PULLING), (DOCKER, PULLING)],
};

const LOADING: Prepare = |name, field: &Field| {
    let archive = field.big()?.archive().to_string_lossy().into_owned();
    Ok(Box::new(Arrival {
        name,
        engine: emptied(name, field)?,
        words: vec!["load".to_owned(), "-i".to_owned(), archive],
        image: BIG.to_owned(),
        _registry: None,
    }))
};

const PULLING: Prepare = |name, field: &Field| {
    let big = field.big()?;
    // Each engine asks a registry on the loopback that it sees.
    let (image, registry) = if name == DOCKER {
        let registry = big.registry_in(field.docker()?.network()?)?;
        (format!("{}/{BIG}", registry.address()), Some(registry))
    } else {
        (big.reference(), None)
    };
    let words = vec!["pull".to_owned(), image.clone()];
    Ok(Box::new(Arrival { name, engine: emptied(name, field)?, words, image, _registry: registry }))
};

/// The engine with nothing in it that shares a layer with the image.
fn emptied(name: &str, field: &Field) -> Result<Rc<dyn Engine>> {
    if name == DOCKER {
        return field.engine(name);
    }
    let home: PathBuf = field.folder("home-of-arrivals")?;
    Ok(Rc::new(Tandem::new(&field.ground, name)?.at(home)))
}

/// A command that brings the image.
struct Arrival {
    name: &'static str,
    engine: Rc<dyn Engine>,
    words: Vec<String>,
    image: String,
    _registry: Option<Registry>,
}

impl Contender for Arrival {
    fn is_slow(&self) -> bool {
        true
    }

    fn trial(&mut self, stage: &Stage) -> Result<Vec<Reading>> {
        let words: Vec<&str> = self.words.iter().map(String::as_str).collect();
        // What others have written must not be on our bill.
        sync();
        let elapsed = stage.time(self.engine.command(&words));
        let gone = self.engine.call(&["image", "rm", &self.image]);
        let elapsed = elapsed?;
        gone?;
        Ok(vec![(self.name, elapsed)])
    }
}
