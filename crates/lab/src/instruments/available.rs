use std::fs;

/// Bytes that can be used without taking them from anybody (`MemAvailable`,
/// proc_meminfo(5)).
pub(crate) fn available_memory() -> Option<f64> {
    parse(&fs::read_to_string("/proc/meminfo").ok()?)
}

fn parse(text: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kibibytes: u32 = line.split_ascii_whitespace().next()?.parse().ok()?;
    Some(f64::from(kibibytes) * 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_estimate_is_read() {
        assert_eq!(parse("MemTotal: 9 kB\nMemAvailable:    2 kB\n"), Some(2048.0));
        assert_eq!(parse("MemTotal: 9 kB\n"), None);
    }
}
