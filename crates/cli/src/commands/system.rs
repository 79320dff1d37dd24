use serde::Serialize;
use tandem_app::{DfDetail, DfImage, DfInstance, DfReport, DfVolume, PruneRequest, SystemInfo};
use tandem_model::{OutsideKind, OutsideSetting};
use tandem_report::format_bytes;

use super::Context;
use crate::{
    grammar::{Json, System},
    output::{json, line, plain, table},
    prompt::confirmed,
};

pub(super) async fn run(context: &Context, command: System) -> anyhow::Result<u8> {
    match command {
        System::Df { each, json } => disk_use(context, each || context.verbose, json),
        System::Prune { all, volumes, filter, force, json: wanted } => {
            let request = PruneRequest { all, volumes, filters: filter };
            prune(context, request, force, wanted).await
        }
        System::Check { repair, json: wanted } => check(context, repair, wanted).await,
        System::Info(wanted) => {
            let info = context.app.info().await?;
            if wanted.json {
                json(&info)?;
            } else {
                show(&info);
            }
            Ok(0)
        }
    }
}

fn disk_use(context: &Context, each: bool, wanted: Json) -> anyhow::Result<u8> {
    let report = context.app.disk_use()?;
    let detail = each.then(|| context.app.disk_use_of_each()).transpose()?;
    if wanted.json {
        json(&Use { report, each: detail })?;
        return Ok(0);
    }
    let mut rows: Vec<_> = report
        .rows
        .iter()
        .map(|row| {
            vec![
                row.kind.to_owned(),
                row.count.to_string(),
                row.active.to_string(),
                format_bytes(row.bytes),
                format_bytes(row.reclaimable_bytes),
            ]
        })
        .collect();
    rows.push(vec![
        "total".to_owned(),
        String::new(),
        String::new(),
        format_bytes(report.bytes),
        format_bytes(report.reclaimable_bytes),
    ]);
    table(&["KIND", "COUNT", "IN USE", "SIZE", "CAN BE GIVEN BACK"], &rows);
    if let Some(detail) = detail {
        show_each(detail);
    }
    Ok(0)
}

/// What the home takes, as a document.
#[derive(Serialize)]
struct Use {
    #[serde(flatten)]
    report: DfReport,
    #[serde(skip_serializing_if = "Option::is_none")]
    each: Option<DfDetail>,
}

fn show_each(detail: DfDetail) {
    let image = |image: DfImage| {
        let [all, shared, own] =
            [image.size_bytes, image.shared_bytes, image.unique_bytes].map(format_bytes);
        let digest = image.digest.short().to_owned();
        vec![image.name, digest, all, shared, own, image.instances.to_string()]
    };
    line("");
    let headings = ["IMAGE", "DIGEST", "SIZE", "SHARED", "OF ITS OWN", "INSTANCES"];
    table(&headings, &detail.images.into_iter().map(image).collect::<Vec<_>>());
    let instance = |instance: DfInstance| {
        let own = instance.own_bytes.map_or_else(|| "-".to_owned(), format_bytes);
        let state = format!("{:?}", instance.state).to_lowercase();
        vec![instance.id, instance.name, instance.image, state, own]
    };
    line("");
    let headings = ["INSTANCE", "NAME", "IMAGE", "STATE", "SIZE"];
    table(&headings, &detail.instances.into_iter().map(instance).collect::<Vec<_>>());
    let volume = |volume: DfVolume| {
        vec![volume.name, volume.instances.join(", "), format_bytes(volume.size_bytes)]
    };
    line("");
    let headings = ["VOLUME", "INSTANCES", "SIZE"];
    table(&headings, &detail.volumes.into_iter().map(volume).collect::<Vec<_>>());
}

async fn prune(
    context: &Context,
    request: PruneRequest,
    force: bool,
    wanted: Json,
) -> anyhow::Result<u8> {
    let images = if request.all { "all images that no instance needs" } else { "unnamed images" };
    let volumes = if request.volumes { ", unnamed volumes" } else { "" };
    let question = format!(
        "Remove instances that do not run, networks without instances, {images}{volumes} and caches?"
    );
    if !confirmed(&question, force).await? {
        return Ok(0);
    }
    let pruned = context.app.prune(request).await?;
    if wanted.json {
        json(&pruned)?;
        return Ok(0);
    }
    for (kind, names) in [
        ("instance", &pruned.instances),
        ("network", &pruned.networks),
        ("image", &pruned.images),
        ("volume", &pruned.volumes),
    ] {
        for name in names {
            line(&format!("{kind} {name}"));
        }
    }
    context.say(&format!("{} given back", format_bytes(pruned.freed_bytes)));
    Ok(0)
}

async fn check(context: &Context, repair: bool, wanted: Json) -> anyhow::Result<u8> {
    let verbose = context.verbose;
    let mut show = |text: &str| {
        if verbose {
            context.say(&plain(text));
        }
    };
    let report = context.app.check(repair, &mut show).await?;
    let code = if report.is_sound() { 0 } else { 125 };
    if wanted.json {
        json(&report)?;
        return Ok(code);
    }
    report.findings.iter().for_each(|finding| line(&plain(&finding.to_string())));
    let count = report.findings.len();
    context.say(&match (count, report.repaired) {
        (0, _) => "all is well".to_owned(),
        (count, repaired) if repaired == count => format!("{count} things mended"),
        (count, repaired) if repair => {
            format!("{repaired} of {count} things mended: the lines above say what is left to do")
        }
        (count, _) => {
            format!("{count} things are not as they should be: `tandem system check --repair` mends what can be mended")
        }
    });
    Ok(code)
}

fn show(info: &SystemInfo) {
    let free = info.free_bytes.map(format_bytes).unwrap_or_default();
    let machine = &info.machine;
    let up = info.instances.up;
    for (name, value) in [
        ("version", info.version.to_owned()),
        ("home", format!("{} ({free} free)", info.home.display())),
        ("user", if info.root { "root".to_owned() } else { "an ordinary one".to_owned() }),
        ("instances", format!("{}, {up} of them running", info.instances.all)),
        ("images", info.images.to_string()),
        ("volumes", info.volumes.to_string()),
        ("networks", info.networks.to_string()),
        ("system", format!("{}, Linux {}", machine.os, machine.kernel)),
        ("processor", format!("{} × {}", machine.cores, machine.cpu)),
        ("memory", format_bytes(machine.memory_bytes)),
        ("cgroups", machine.cgroup.clone()),
        ("hypervisor", machine.virtualised.clone().unwrap_or_else(|| "none".to_owned())),
    ] {
        line(&format!("{name:<11} {}", plain(&value)));
    }
    for capability in &info.capabilities {
        line(&format!("{:<11} {}", plain(&capability.id), plain(&capability.detail)));
    }
    info.outside.settings.iter().for_each(|setting| line(&plain(&outside(setting))));
}

/// A setting from outside with the place where it was read.
fn outside(setting: &OutsideSetting) -> String {
    let kind = match setting.kind {
        OutsideKind::Proxy => "proxy",
        OutsideKind::WithoutProxy => "no proxy",
        OutsideKind::Mirror => "mirror",
        OutsideKind::Insecure => "insecure",
        OutsideKind::Certificates => "trusts",
        OutsideKind::Identity => "shows",
        OutsideKind::BuildCertificates => "builds see",
        OutsideKind::Login => "login",
    };
    let of = setting.of.as_ref().map(|of| format!("{of}: ")).unwrap_or_default();
    let source = match setting.source.as_str() {
        "" => String::new(),
        source if source == setting.value => String::new(),
        source => format!(" (from {source})"),
    };
    let problem = setting.problem.as_ref().map(|it| format!(", but {it}")).unwrap_or_default();
    format!("{kind:<11} {of}{}{source}{problem}", setting.value)
}
