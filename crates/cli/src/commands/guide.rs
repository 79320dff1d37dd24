use tandem_app::{Guide, LaneFit, Scarce};
use tandem_report::{format_bytes, format_duration};

use super::Context;
use crate::{
    grammar::WantedGuide,
    output::{json, line, plain, table},
};

pub(super) fn run(context: &Context, wanted: &WantedGuide) -> anyhow::Result<u8> {
    let guide = context.app.fit_guide(&wanted.subject, wanted.class)?;
    if wanted.json.json {
        json(&guide)?;
        return Ok(0);
    }
    print(&guide);
    Ok(0)
}

fn print(guide: &Guide) {
    let room = &guide.room;
    line(&format!(
        "{} on this machine: {} of memory and {} of disk space are free, {} processors",
        plain(&guide.subject),
        format_bytes(room.memory_bytes),
        format_bytes(room.disk_bytes),
        room.cores
    ));
    line("");
    let count = guide.lanes.first().map_or(0, |lane| lane.class.count);
    let class = format!("A CLASS OF {count}");
    let head = ["LANE", "FITS", "FIRST RUNS OUT", "EACH TAKES", &class];
    table(&head, &guide.lanes.iter().map(row).collect::<Vec<_>>());
    line("");
    for sentence in &guide.advice {
        line(&plain(sentence));
    }
    for left in &guide.left_out {
        line(&format!("left out: {}", plain(left)));
    }
    let names: Vec<_> =
        guide.results.iter().map(|it| format!("{} ({})", it.id, plain(&it.experiment))).collect();
    line(&format!("reckoned from the results {}", names.join(", ")));
}

fn row(lane: &LaneFit) -> Vec<String> {
    let name = match lane.accelerator {
        Some(accelerator) => format!("{} ({})", lane.lane, accelerator.as_str()),
        None => lane.lane.clone(),
    };
    let scarce = match lane.binding {
        Scarce::Memory => "memory",
        Scarce::Disk => "disk space",
        Scarce::Processors => "processors",
    };
    let each: Vec<_> = lane
        .bounds
        .iter()
        .map(|bound| match bound.what {
            Scarce::Memory => format!("{} memory", format_bytes(bound.each)),
            Scarce::Disk => format!("{} disk", format_bytes(bound.each)),
            Scarce::Processors => format!("{} of a processor", format_duration(bound.each)),
        })
        .collect();
    let class = &lane.class;
    let mut needs = vec![format!("{} memory", format_bytes(class.memory_bytes))];
    needs.extend(class.disk_bytes.map(|bytes| format!("{} disk", format_bytes(bytes))));
    needs.extend(class.start_ns.map(|time| format!("{} to start", format_duration(time))));
    let verdict = if class.fits { "fits" } else { "does not fit" };
    vec![
        plain(&name),
        lane.fits.to_string(),
        scarce.to_owned(),
        each.join(", "),
        format!("{verdict}: {}", needs.join(", ")),
    ]
}
