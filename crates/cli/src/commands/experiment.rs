use tandem_app::{ExperimentRequest, ShownResult};
use tandem_model::{CacheState, ResultDocument, RunEvent};

use super::{
    Context,
    measured::{deliver, report},
};
use crate::{
    grammar::{Cache, Experiment, ResumeExperiment, RunExperiment, THOROUGH},
    output::{json, line, table},
    signals::cancel_on_interrupt,
};

pub(super) async fn run(context: &Context, command: Experiment) -> anyhow::Result<u8> {
    match command {
        Experiment::Ls(wanted) => list(context, wanted.json)?,
        Experiment::Describe { id, json } => describe(context, &id, json.json)?,
        Experiment::Run(wanted) => return carry_out(context, &wanted).await,
        Experiment::Resume(wanted) => return resume(context, &wanted).await,
    }
    Ok(0)
}

fn list(context: &Context, wants_json: bool) -> anyhow::Result<()> {
    let all = context.app.experiments();
    if wants_json {
        return json(&all);
    }
    let row = |it: &tandem_app::ExperimentInfo| {
        let state = if it.missing.is_some() { "not in this version" } else { "ready" };
        vec![it.id.to_owned(), state.to_owned(), it.question.to_owned()]
    };
    table(&["ID", "STATE", "QUESTION"], &all.iter().map(row).collect::<Vec<_>>());
    Ok(())
}

fn describe(context: &Context, id: &str, wants_json: bool) -> anyhow::Result<()> {
    let it = context.app.describe_experiment(id)?;
    if wants_json {
        return json(it);
    }
    line(&format!("{}: {}", it.id, it.question));
    let metrics = it.metrics.join(", ");
    for (name, text) in [
        ("claim", it.claim),
        ("method", it.method),
        ("metrics", &metrics),
        ("picture", it.picture),
        ("caveat", it.caveat),
        ("predict", it.prediction),
        ("why", it.explanation),
    ] {
        line(&format!("  {name:<8} {text}"));
    }
    if let Some(missing) = it.missing {
        line(&format!("  cannot run: {missing}"));
    }
    Ok(())
}

async fn carry_out(context: &Context, wanted: &RunExperiment) -> anyhow::Result<u8> {
    let several = wanted.ids.len() > 1;
    if several && wanted.delivery.json.is_some() {
        anyhow::bail!(tandem_app::AppError::Usage(
            "--json takes one result: run the experiments one by one, or export them later with `tandem result export`".to_owned()
        ));
    }
    // A wrong id is said before anything is measured.
    for id in &wanted.ids {
        context.app.describe_experiment(id)?;
    }
    if several && wanted.predict.is_some() {
        anyhow::bail!(tandem_app::AppError::Usage(
            "--predict is an answer to one experiment's question: run the experiments one by one"
                .to_owned()
        ));
    }
    let cancel = cancel_on_interrupt();
    let mut code = 0;
    for id in &wanted.ids {
        let mut show = |event: RunEvent| report(context, &event);
        let request = request(id, wanted);
        let result = Box::pin(context.app.experiment(&request, &mut show, &cancel)).await?;
        let mut delivery = wanted.delivery.clone();
        if let (Some(dir), true) = (&mut delivery.report, several) {
            dir.push(id);
        }
        code = deliver(context, &result, &delivery)?.max(code);
        tell_where(context, &result);
    }
    Ok(code)
}

/// Where the result is, unless the disk had no room for it, which was said.
fn tell_where(context: &Context, result: &ResultDocument) {
    if matches!(context.app.show_result(&result.id), Ok(ShownResult::Finished(_))) {
        context.say(&format!("kept as result {}", result.id));
    }
}

async fn resume(context: &Context, wanted: &ResumeExperiment) -> anyhow::Result<u8> {
    let cancel = cancel_on_interrupt();
    let mut show = |event: RunEvent| report(context, &event);
    let result = Box::pin(context.app.resume_experiment(&wanted.id, &mut show, &cancel)).await?;
    let code = deliver(context, &result, &wanted.delivery)?;
    tell_where(context, &result);
    Ok(code)
}

fn request(id: &str, wanted: &RunExperiment) -> ExperimentRequest {
    let usual = ExperimentRequest::new(id);
    ExperimentRequest {
        subject: wanted.subject.clone(),
        lanes: wanted.lanes.clone(),
        trials: if wanted.thorough { THOROUGH } else { wanted.trials.unwrap_or(usual.trials) },
        warmup: wanted.warmup.unwrap_or(usual.warmup),
        seed: wanted.seed,
        resources: wanted.conditions.resources(usual.resources),
        cache: match wanted.cache {
            Cache::Warm => CacheState::Warm,
            Cache::Cold => CacheState::Cold,
        },
        instances: wanted.instances,
        port: wanted.conditions.port,
        time_limit_s: wanted.conditions.time_limit,
        prediction: wanted.predict.clone(),
        ..usual
    }
}
