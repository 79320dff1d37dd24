//! Do the ledgers of a result add up?

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tandem_stats::median;

/// The part of what the machine has less that may stay unexplained.
const REST: f64 = 0.1;

/// Checks the memory ledger of a lane: in the middle of its trials the rest
/// must be small. Now and then the kernel gives memory back, or takes some; a
/// ledger that lacks a part, or has one twice, is wrong in every trial.
pub(crate) fn memory_adds_up(document: &Value, lane: &str) -> Result<()> {
    let trials = document["trials"].as_array().context("no trials")?;
    let mut rests = Vec::new();
    for trial in trials.iter().filter(|it| it["lane"] == lane && it["outcome"] == "measured") {
        let metrics = &trial["metrics"];
        let number = |name: &str| {
            metrics[name].as_f64().with_context(|| format!("{lane} has no {name}: {metrics}"))
        };
        let (change, rest) = (number("memory_host_change")?, number("memory_unexplained")?);
        // What takes no memory explains nothing.
        rests.push(if change > 0.0 { rest.abs() / change } else { f64::INFINITY });
    }
    let middle = median(&rests).with_context(|| format!("{lane} measured no trial"))?;
    ensure!(
        middle <= REST,
        "the memory of {lane} does not add up, these parts of it are unexplained: {rests:.2?}"
    );
    Ok(())
}

/// Checks what a cgroup was charged against the parts that the kernel tells.
pub(crate) fn charge_adds_up(metrics: &Value) -> Result<()> {
    let part = |name: &str| metrics[format!("memory_ledger.{name}")].as_f64().unwrap_or(0.0);
    let charged = metrics["memory_cgroup"].as_f64().context("no charge")?;
    let parts = part("app_anonymous")
        + part("page_cache_beyond_mapped_files")
        + part("kernel_on_the_app_s_behalf");
    // Pages that others have read first are mapped and not charged.
    let least = parts - charged * REST;
    let most = parts + part("app_mapped_files") + part("app_shared_memory") + charged * REST;
    ensure!(
        (least..=most).contains(&charged),
        "{charged} bytes were charged, and the parts are {parts}: {metrics}"
    );
    Ok(())
}

/// Checks the disk ledger: the parts are the two sums, and nothing is missing.
pub(crate) fn disk_adds_up(metrics: &Value) -> Result<()> {
    let all = metrics.as_object().context("no metrics")?;
    let parts = all.iter().filter(|(name, _)| name.starts_with("disk_ledger."));
    let parts: f64 = parts.filter_map(|(_, value)| value.as_f64()).sum();
    let number = |name: &str| metrics[name].as_f64().with_context(|| format!("no {name}"));
    let (image, own) = (number("image_bytes")?, number("instance_bytes")?);
    ensure!(parts > 0.0 && (image + own - parts).abs() < 1.0, "{parts} ≠ {image} + {own}");
    let (packed, unpacked) = (number("image_compressed_bytes")?, number("image_unpacked_bytes")?);
    let (unique, shared) = (number("image_unique_bytes")?, number("image_shared_bytes")?);
    ensure!(packed > 0.0 && packed < unpacked, "{packed} is not less than {unpacked}");
    ensure!((unique + shared - packed - unpacked).abs() < 1.0, "{metrics}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const MIB: f64 = 1_048_576.0;

    fn of(trials: &[(f64, f64)]) -> Value {
        let trial = |(change, rest): &(f64, f64)| {
            json!({ "lane": "vm/micro", "outcome": "measured", "metrics": {
                "memory_host_change": change * MIB, "memory_unexplained": rest * MIB } })
        };
        json!({ "trials": trials.iter().map(trial).collect::<Vec<_>>() })
    }

    #[test]
    fn a_ledger_that_lacks_a_part_is_found() {
        memory_adds_up(&of(&[(300.0, 9.0)]), "vm/micro").unwrap();
        // The kernel wanted memory in one of three.
        let odd = [(900.0, 600.0), (300.0, -9.0), (310.0, 1.0)];
        memory_adds_up(&of(&odd), "vm/micro").unwrap();
        for wrong in [
            &[(300.0, 280.0), (301.0, 270.0)][..],
            &[(300.0, 31.0)],
            // A part twice.
            &[(300.0, -250.0)],
            // Nothing that could be explained.
            &[(-5.0, -300.0)],
            &[],
        ] {
            assert!(memory_adds_up(&of(wrong), "vm/micro").is_err(), "{wrong:?}");
        }
        assert!(memory_adds_up(&of(&[(300.0, 9.0)]), "container").is_err());
    }

    #[test]
    fn a_charge_without_its_parts_is_found() {
        let metrics = |charged: f64, anonymous: f64| {
            json!({ "memory_cgroup": charged * MIB,
                "memory_ledger.app_anonymous": anonymous * MIB,
                "memory_ledger.app_mapped_files": 11.0 * MIB,
                "memory_ledger.kernel_on_the_app_s_behalf": MIB })
        };
        charge_adds_up(&metrics(45.0, 43.0)).unwrap();
        assert!(charge_adds_up(&metrics(90.0, 43.0)).is_err());
        assert!(charge_adds_up(&metrics(20.0, 43.0)).is_err());
    }

    #[test]
    fn a_disk_ledger_that_lacks_a_part_is_found() {
        let right = json!({
            "disk_ledger.image_layers": 200, "disk_ledger.files_changed": 8,
            "image_bytes": 200, "instance_bytes": 8, "image_compressed_bytes": 70,
            "image_unpacked_bytes": 200, "image_unique_bytes": 30, "image_shared_bytes": 240,
        });
        disk_adds_up(&right).unwrap();
        for (name, value) in [
            ("disk_ledger.files_changed", 7),
            ("image_shared_bytes", 200),
            ("image_compressed_bytes", 0),
        ] {
            let mut wrong = right.clone();
            wrong[name] = json!(value);
            assert!(disk_adds_up(&wrong).is_err(), "{name}");
        }
    }
}
