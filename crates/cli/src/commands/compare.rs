use tandem_app::ExperimentRequest;
use tandem_model::RunEvent;

use super::{
    Context,
    measured::{deliver, report},
};
use crate::{
    grammar::{Compare, THOROUGH},
    signals::cancel_on_interrupt,
};

pub(super) async fn run(context: &Context, compare: Compare) -> anyhow::Result<u8> {
    let request = request(&compare);
    let mut show = |event: RunEvent| report(context, &event);
    let result = context.app.experiment(&request, &mut show, &cancel_on_interrupt()).await?;
    deliver(context, &result, &compare.delivery)
}

fn request(compare: &Compare) -> ExperimentRequest {
    let mut request = ExperimentRequest::compare(&compare.subject);
    request.lanes.clone_from(&compare.lanes);
    request.trials = if compare.thorough { THOROUGH } else { compare.trials };
    request.warmup = compare.warmup;
    request.seed = compare.seed;
    request.resources = compare.conditions.resources(request.resources);
    request.port = compare.conditions.port;
    request.time_limit_s = compare.conditions.time_limit;
    request.keep = compare.keep;
    request
}
