use anyhow::{Result, bail};

/// One Dockerfile and how it is built.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Recipe {
    pub(super) name: String,
    pub(super) text: String,
    /// Both builders must refuse it.
    pub(super) fails: bool,
    /// Why the other builder is not the measure here.
    pub(super) differs: Option<String>,
    pub(super) arguments: Vec<String>,
    pub(super) labels: Vec<String>,
    pub(super) target: Option<String>,
    pub(super) ignore: Option<String>,
    /// Further options, with `{context}` for the folder of the context.
    pub(super) options: Vec<(String, String)>,
}

/// Reads the fixture: `## NAME` begins a recipe and `## NAME !` one that must
/// fail; lines that begin with `%` say how it is built, or why the other's
/// result `%differs`; the rest is the Dockerfile. What stands before the first recipe is a comment.
pub(super) fn parse(text: &str) -> Result<Vec<Recipe>> {
    let mut recipes: Vec<Recipe> = Vec::new();
    // Not lines(): some recipes have line ends of Windows.
    for line in text.split('\n') {
        if let Some(title) = line.strip_prefix("## ") {
            let (name, fails) = match title.strip_suffix(" !") {
                Some(name) => (name, true),
                None => (title, false),
            };
            if recipes.iter().any(|it| it.name == name) {
                bail!("two recipes are called {name}");
            }
            recipes.push(Recipe { name: name.to_owned(), fails, ..Recipe::default() });
            continue;
        }
        let Some(recipe) = recipes.last_mut() else { continue };
        match line.strip_prefix('%').map(|it| it.split_once(' ').unwrap_or((it, ""))) {
            Some(("arg", value)) => recipe.arguments.push(value.to_owned()),
            Some(("label", value)) => recipe.labels.push(value.to_owned()),
            Some(("differs", value)) => recipe.differs = Some(value.to_owned()),
            Some(("target", value)) => recipe.target = Some(value.to_owned()),
            Some(("ignore", value)) => {
                let ignore = recipe.ignore.get_or_insert_default();
                ignore.push_str(value);
                ignore.push('\n');
            }
            Some((option @ ("build-context" | "secret"), value)) => {
                recipe.options.push((option.to_owned(), value.to_owned()));
            }
            Some((other, _)) => bail!("{}: `%{other}` means nothing", recipe.name),
            None => {
                recipe.text.push_str(line);
                recipe.text.push('\n');
            }
        }
    }
    Ok(recipes)
}
