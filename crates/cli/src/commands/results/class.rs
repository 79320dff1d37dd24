//! A class's results as text.

use tandem_app::{Class, ClassGroup};
use tandem_report::{
    format_ratio, format_ratio_interval, format_value, format_value_interval, lane_name,
    lane_title, metric_words,
};

use super::super::Context;
use crate::output::{line, plain, table};

pub(super) fn print(context: &Context, class: &Class, all: bool) {
    for group in &class.groups {
        print_group(group, all);
    }
    for refused in &class.refused {
        context.say(&format!("not counted: {}: {}", plain(&refused.file), plain(&refused.why)));
    }
}

fn print_group(group: &ClassGroup, all: bool) {
    line(&format!(
        "{} of {} ({}) on {}",
        plain(&group.experiment),
        plain(&group.subject),
        group.digest.short(),
        if group.machines.len() == 1 {
            "one machine".to_owned()
        } else {
            format!("{} machines", group.machines.len())
        }
    ));
    for (number, machine) in (1..).zip(&group.machines) {
        let files = plain(&machine.files.join(", "));
        line(&format!(
            "{number}  {files}: {}, {} cores",
            plain(&machine.machine.cpu),
            machine.machine.cores
        ));
        for note in &machine.notes {
            line(&format!("   {}", plain(note)));
        }
    }
    let mut rows = Vec::new();
    for metric in group.metrics.iter().filter(|metric| all || metric.main) {
        let words = plain(&metric_words(&metric.metric));
        for lane in &metric.lanes {
            let over = lane.over;
            rows.push(vec![
                words.clone(),
                plain(&lane_title(&lane.lane, lane.accelerator)),
                over.n.to_string(),
                format_value(over.median, metric.unit),
                format_value_interval(over.ci95, metric.unit),
                format_value_interval([over.min, over.max], metric.unit),
            ]);
        }
        for ratio in &metric.ratios {
            let over = ratio.over;
            let name =
                format!("{} ÷ {}", lane_title(&ratio.b, ratio.accelerator), lane_name(&ratio.a));
            rows.push(vec![
                words.clone(),
                plain(&name),
                over.n.to_string(),
                format_ratio(over.median),
                format_ratio_interval(over.ci95),
                format_ratio_interval([over.min, over.max]),
            ]);
        }
    }
    line("");
    table(&["METRIC", "LANE", "MACHINES", "MEDIAN", "INTERVAL", "RANGE"], &rows);
    let few = group.machines.len() < 3;
    line(if few { "Fewer than three machines: the interval is only their range.\n" } else { "" });
}
