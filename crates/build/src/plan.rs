//! Which stages a build needs, and what each begins with. Nothing here
//! touches the disk.

use std::collections::{BTreeMap, BTreeSet};

use tandem_image::Platform;
use tandem_model::did_you_mean;

use crate::{
    BuildContext, BuildError, expand,
    parse::{Argument, Dockerfile, Instruction, Kind, SyntaxError, Word},
    platform,
};

/// The build, stage by stage.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) stages: Vec<Stage>,
    /// Index of the stage that becomes the image.
    pub(crate) target: usize,
    /// Values of the ARGs before the first FROM, and the predefined ones.
    pub(crate) globals: BTreeMap<String, String>,
}

/// One stage.
#[derive(Debug, Clone)]
pub(crate) struct Stage {
    /// Its name, or its number.
    pub(crate) name: String,
    pub(crate) base: Base,
    /// What machine an image is taken for; this one's, or what is here, if
    /// nobody says.
    pub(crate) platform: Option<Platform>,
    /// Its FROM.
    pub(crate) from: Instruction,
    /// What follows FROM.
    pub(crate) steps: Vec<Instruction>,
    /// The target needs it.
    pub(crate) needed: bool,
}

/// What a stage begins with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Base {
    Scratch,
    /// An earlier stage.
    Stage(usize),
    /// An image, as written after expansion.
    Image(String),
}

/// Where `COPY --from` takes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    Stage(usize),
    /// A named context or an image, as written.
    Named(String),
}

impl Plan {
    pub(crate) fn new(
        dockerfile: &Dockerfile,
        build_args: &BTreeMap<String, String>,
        contexts: &[BuildContext],
        target: Option<&str>,
        wanted: Option<&Platform>,
    ) -> Result<Self, BuildError> {
        let mut globals = platform::arguments(wanted);
        let mut stages: Vec<Stage> = Vec::new();
        for instruction in &dockerfile.instructions {
            match (&instruction.kind, stages.last_mut()) {
                (Kind::From(from), _) => {
                    let lookup = |name: &str| globals.get(name).cloned();
                    let image = expanded(dockerfile, &from.image, &lookup)?;
                    if image.is_empty() {
                        return Err(refused(
                            dockerfile,
                            &from.image,
                            format!(
                                "`{}` is empty: give the ARG before FROM a default, or a value with --build-arg",
                                from.image.text
                            ),
                        ));
                    }
                    let platform = match &from.platform {
                        Some(word) => own_platform(dockerfile, word, &lookup)?,
                        None => None,
                    };
                    let platform = platform.or_else(|| wanted.cloned());
                    let base = base(&stages, image);
                    let name = from.name.clone().unwrap_or_else(|| stages.len().to_string());
                    let from = instruction.clone();
                    let steps = Vec::new();
                    stages.push(Stage { name, base, platform, from, steps, needed: false });
                }
                (_, Some(stage)) => stage.steps.push(instruction.clone()),
                (Kind::Arg(arguments), None) => {
                    for argument in arguments {
                        declare(dockerfile, argument, build_args, &mut globals)?;
                    }
                }
                // The parser lets nothing else stand before FROM.
                (_, None) => {}
            }
        }
        // A named context replaces the stage of its name with all its steps.
        for stage in &mut stages {
            if contexts.iter().any(|context| context.name.eq_ignore_ascii_case(&stage.name)) {
                stage.base = Base::Image(stage.name.clone());
                stage.steps.clear();
            }
        }
        let target = find_target(&stages, target)?;
        let mut plan = Self { stages, target, globals };
        plan.mark_needed(dockerfile)?;
        Ok(plan)
    }

    /// How many steps will be counted.
    pub(crate) fn steps(&self) -> usize {
        self.stages.iter().filter(|stage| stage.needed).map(|stage| 1 + stage.steps.len()).sum()
    }

    /// What `--from=NAME` means in a stage: an earlier stage by name or
    /// number, else a named context or an image.
    pub(crate) fn origin(&self, stage: usize, name: &str) -> Option<Origin> {
        let earlier = &self.stages[..stage];
        if let Some(at) = earlier.iter().rposition(|it| it.name.eq_ignore_ascii_case(name)) {
            return Some(Origin::Stage(at));
        }
        match name.parse::<usize>() {
            Ok(at) if at < stage => Some(Origin::Stage(at)),
            Ok(_) => None,
            Err(_) => Some(Origin::Named(name.to_owned())),
        }
    }

    /// The stages that an instruction of a stage takes from.
    pub(crate) fn taken_from(&self, stage: usize, step: &Instruction) -> Vec<usize> {
        let origins = named_sources(step).into_iter().map(|from| self.origin(stage, &from.text));
        let stages = origins.filter_map(|origin| match origin {
            Some(Origin::Stage(at)) => Some(at),
            _ => None,
        });
        stages.collect()
    }

    fn mark_needed(&mut self, dockerfile: &Dockerfile) -> Result<(), BuildError> {
        let mut todo = vec![self.target];
        let mut seen = BTreeSet::new();
        while let Some(at) = todo.pop() {
            if !seen.insert(at) {
                continue;
            }
            if let Base::Stage(base) = self.stages[at].base {
                todo.push(base);
            }
            for step in &self.stages[at].steps {
                for from in named_sources(step) {
                    if from.text.contains('$') {
                        return Err(refused(
                            dockerfile,
                            from,
                            format!(
                                "--from takes no variables: name a stage and use it, FROM {} AS source",
                                from.text
                            ),
                        ));
                    }
                    match self.origin(at, &from.text) {
                        Some(Origin::Stage(source)) => todo.push(source),
                        Some(Origin::Named(_)) => {}
                        None => {
                            return Err(refused(
                                dockerfile,
                                from,
                                format!(
                                    "there is no stage {} before this one: expected a stage's name or a number below {at}",
                                    from.text
                                ),
                            ));
                        }
                    }
                }
            }
        }
        for at in seen {
            self.stages[at].needed = true;
        }
        Ok(())
    }
}

/// Every `from` of an instruction.
fn named_sources(step: &Instruction) -> Vec<&Word> {
    match &step.kind {
        Kind::Copy(transfer) | Kind::Add(transfer) => transfer.from.iter().collect(),
        Kind::Run(run) => run.mounts.iter().filter_map(|it| it.from.as_ref()).collect(),
        _ => Vec::new(),
    }
}

fn base(stages: &[Stage], image: String) -> Base {
    if image == "scratch" {
        return Base::Scratch;
    }
    match stages.iter().rposition(|stage| stage.name.eq_ignore_ascii_case(&image)) {
        Some(at) if !image.bytes().all(|b| b.is_ascii_digit()) => Base::Stage(at),
        _ => Base::Image(image),
    }
}

/// The stage that is wanted: the last one, or one by its name. Docker takes no
/// numbers here, as `COPY --from` does.
fn find_target(stages: &[Stage], target: Option<&str>) -> Result<usize, BuildError> {
    let Some(target) = target else { return Ok(stages.len() - 1) };
    let has_name = |stage: &&Stage| !stage.name.bytes().all(|b| b.is_ascii_digit());
    let names: Vec<&str> = stages.iter().filter(has_name).map(|it| it.name.as_str()).collect();
    let found = stages.iter().rposition(|stage| stage.name.eq_ignore_ascii_case(target));
    found.filter(|at| has_name(&&stages[*at])).ok_or_else(|| {
        let known = match names.as_slice() {
            [] => "none has a name: write one behind FROM, e.g. FROM python AS app".to_owned(),
            names => {
                let hint = did_you_mean(target, names);
                format!("the Dockerfile has {}{hint}", names.join(", "))
            }
        };
        BuildError::UnknownTarget { target: target.to_owned(), known }
    })
}

fn declare(
    dockerfile: &Dockerfile,
    argument: &Argument,
    build_args: &BTreeMap<String, String>,
    globals: &mut BTreeMap<String, String>,
) -> Result<(), BuildError> {
    let name = &argument.name.text;
    let value = match (build_args.get(name), &argument.default) {
        (Some(given), _) => Some(given.clone()),
        (None, Some(default)) => {
            Some(expanded(dockerfile, default, &|name| globals.get(name).cloned())?)
        }
        (None, None) => None,
    };
    if let Some(value) = value {
        globals.insert(name.clone(), value);
    }
    Ok(())
}

/// The platform of a FROM; one that is empty says nothing.
fn own_platform(
    dockerfile: &Dockerfile,
    word: &Word,
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<Option<Platform>, BuildError> {
    let text = expanded(dockerfile, word, lookup)?;
    if text.is_empty() {
        return Ok(None);
    }
    let platform = platform::parse_platform(&text);
    platform.map(Some).map_err(|message| refused(dockerfile, word, message))
}

pub(crate) fn expanded(
    dockerfile: &Dockerfile,
    word: &Word,
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<String, SyntaxError> {
    expand::expand(&word.text, dockerfile.escape, lookup).map_err(|e| SyntaxError {
        file: dockerfile.file.clone(),
        span: word.span,
        message: e.message,
    })
}

pub(crate) fn refused(dockerfile: &Dockerfile, word: &Word, message: String) -> BuildError {
    SyntaxError { file: dockerfile.file.clone(), span: word.span, message }.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::parse;

    fn plan(text: &str, args: &[(&str, &str)], target: Option<&str>) -> Result<Plan, BuildError> {
        let args = args.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Plan::new(&parse("Dockerfile", text).unwrap(), &args, &[], target, None)
    }

    #[test]
    fn arguments_before_from_choose_the_base() {
        let text = "ARG V=3.12\nARG BASE=python:${V}-slim\nFROM ${BASE}\nRUN x";
        let base = |args| plan(text, args, None).unwrap().stages[0].base.clone();
        assert_eq!(base(&[]), Base::Image("python:3.12-slim".into()));
        assert_eq!(base(&[("V", "3.7")]), Base::Image("python:3.7-slim".into()));
        assert_eq!(base(&[("BASE", "scratch")]), Base::Scratch);
        let error = plan("FROM $NOTHING", &[], None).unwrap_err().to_string();
        assert!(error.starts_with("Dockerfile:1:6: `$NOTHING` is empty"), "{error}");
    }

    #[test]
    fn only_what_the_target_needs_is_built() {
        let text = "FROM a AS one\nFROM b AS two\nFROM one AS three\nCOPY --from=0 x y\nFROM three\nCOPY --from=two x y\nFROM z AS Last";
        let needed = |target| {
            let plan = plan(text, &[], target).unwrap();
            plan.stages.iter().map(|stage| u8::from(stage.needed)).collect::<Vec<_>>()
        };
        assert_eq!(needed(None), [0, 0, 0, 0, 1]);
        assert_eq!(needed(Some("THREE")), [1, 0, 1, 0, 0]);
        let error = plan(text, &[], Some("tree")).unwrap_err().to_string();
        assert!(
            error.ends_with("the Dockerfile has one, two, three, last: did you mean three?"),
            "{error}"
        );
        for number in ["3", "0"] {
            let error = plan(text, &[], Some(number)).unwrap_err().to_string();
            assert!(error.contains(&format!("no build stage `{number}`")), "{error}");
        }
        let error = plan("FROM a\nFROM b", &[], Some("0")).unwrap_err().to_string();
        assert!(error.contains("none has a name"), "{error}");
    }

    #[test]
    fn stages_that_come_later_cannot_be_copied_from() {
        let error = plan("FROM a AS one\nCOPY --from=1 x y\nFROM b", &[], Some("one")).unwrap_err();
        assert!(error.to_string().starts_with("Dockerfile:2:13: there is no stage 1"), "{error}");
        let later =
            plan("FROM a AS one\nCOPY --from=b x y\nFROM c AS b", &[], Some("one")).unwrap();
        assert_eq!(later.origin(0, "b"), Some(Origin::Named("b".into())));
    }

    #[test]
    fn a_stage_is_for_the_machine_that_it_names() {
        let own = Platform::default();
        let wanted: Platform = "linux/arm64".parse().unwrap();
        let text = "FROM --platform=$BUILDPLATFORM a\nFROM b\nFROM --platform=s390x c";
        let parsed = parse("Dockerfile", text).unwrap();
        let plan = Plan::new(&parsed, &BTreeMap::new(), &[], None, Some(&wanted)).unwrap();
        let found: Vec<_> = plan.stages.iter().map(|it| it.platform.clone().unwrap()).collect();
        assert_eq!(found, [own, wanted, "linux/s390x".parse().unwrap()]);
        assert_eq!(plan.globals["TARGETARCH"], "arm64");
        assert_eq!(self::plan("FROM a", &[], None).unwrap().stages[0].platform, None);
        for bad in ["windows/amd64", "$NOTHING/x"] {
            let text = format!("FROM --platform={bad} a");
            let error = self::plan(&text, &[], None).unwrap_err().to_string();
            assert!(error.starts_with("Dockerfile:1:"), "{error}");
        }
    }
}
