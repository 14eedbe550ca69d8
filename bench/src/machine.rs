//! The machine: its size, its limits, and what else it is doing.

use std::fs;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use gost_testkit::usage;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// What figures should be quoted with.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    pub(crate) cores: usize,
    pub(crate) cpu: String,
    pub(crate) kernel: String,
    /// MiB.
    pub(crate) memory: u64,
    /// As `2026-11-21`, in UTC.
    pub(crate) date: String,
}

impl Machine {
    /// This one, today.
    pub(crate) fn here() -> Self {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        let value = |text: &str, key: &str| {
            let line = text.lines().find(|line| line.starts_with(key))?;
            Some(line.split_once(':')?.1.trim().to_owned())
        };
        let memory = value(&read("/proc/meminfo"), "MemTotal");
        let kibibytes = memory.and_then(|text| text.split(' ').next()?.parse::<u64>().ok());
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Self {
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            cpu: value(&read("/proc/cpuinfo"), "model name").unwrap_or_else(|| "unknown".into()),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            memory: kibibytes.unwrap_or(0) / 1024,
            date: date(now.as_secs() / 86_400),
        }
    }
}

/// The Gregorian date of a day since 1970-01-01 (Howard Hinnant's algorithm).
fn date(day: u64) -> String {
    let day = day + 719_468;
    let era = day / 146_097;
    let of_era = day % 146_097;
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    // Years begin in March here, so that the leap day is their last.
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 {
        (month + 3, 0)
    } else {
        (month - 9, 1)
    };
    format!("{:04}-{month:02}-{day:02}", era * 400 + year + next)
}

/// Lets this process and its children open as many descriptors as they may.
pub(crate) fn raise_descriptor_limit() -> Result<()> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).context("read the descriptor limit")?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).context("raise the descriptor limit")
}

/// CPU time spent so far by the whole machine and by this process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spent {
    machine: Duration,
    own: Duration,
}

impl Spent {
    pub(crate) fn now() -> Result<Self> {
        let own = usage::cpu(std::process::id()).context("read own CPU time")?;
        Ok(Self {
            machine: usage::machine_cpu().context("read the machine's CPU time")?,
            own,
        })
    }

    /// CPU time since `before` that neither this process nor `program` took.
    pub(crate) fn by_others(&self, before: &Self, program: Duration) -> Duration {
        let all = self.machine.saturating_sub(before.machine);
        all.saturating_sub(self.own.saturating_sub(before.own))
            .saturating_sub(program)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_gregorian() {
        for (day, text) in [
            (0, "1970-01-01"),
            (11_016, "2000-02-29"),
            (11_017, "2000-03-01"),
            (20_454, "2026-01-01"),
            (20_778, "2026-11-21"),
        ] {
            assert_eq!(date(day), text);
        }
    }

    #[test]
    fn this_machine_has_a_size() {
        let here = Machine::here();
        assert!(
            here.cores > 0 && here.memory > 0 && !here.kernel.is_empty(),
            "{here:?}"
        );
    }

    #[test]
    fn other_work_is_what_is_left() {
        let second = Duration::from_secs(1);
        let before = Spent {
            machine: 10 * second,
            own: second,
        };
        let after = Spent {
            machine: 15 * second,
            own: 3 * second,
        };
        assert_eq!(after.by_others(&before, second), 2 * second);
        assert_eq!(after.by_others(&before, 9 * second), Duration::ZERO);
    }
}
