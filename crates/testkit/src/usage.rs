//! What a process, or every process of a group, uses: from Linux's `/proc`.

use std::fs;
use std::io;
use std::time::Duration;

use nix::unistd::{SysconfVar, sysconf};

/// A reading of one process or the sum over several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// CPU time in user and kernel mode since the start, with that of ended
    /// threads and of children that were waited for. Resolution: 10 ms.
    pub cpu: Duration,
    /// Proportional set size in bytes: memory, where a page shared by `n`
    /// processes counts one `n`th in each.
    pub pss: u64,
    /// Resident set size in bytes (`VmRSS`): memory, shared pages in full.
    pub rss: u64,
    /// That part of it in bytes which comes from no file (`RssAnon`): heap and
    /// stacks. Unlike the others it is the same however many processes run the
    /// same program.
    pub anonymous: u64,
    /// Open file descriptors.
    pub descriptors: u64,
}

impl Usage {
    /// Reads the process `pid`.
    ///
    /// # Errors
    /// When the process does not exist or belongs to somebody else.
    pub fn of(pid: u32) -> io::Result<Self> {
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        Ok(Self {
            cpu: cpu(pid)?,
            pss: kibibytes(
                &fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?,
                "Pss:",
            )?,
            rss: kibibytes(&status, "VmRSS:")?,
            anonymous: kibibytes(&status, "RssAnon:")?,
            descriptors: fs::read_dir(format!("/proc/{pid}/fd"))?.count() as u64,
        })
    }

    /// The sum over all of `pids`; one that has ended meanwhile counts nothing.
    pub fn sum(pids: impl IntoIterator<Item = u32>) -> Self {
        let readings = pids.into_iter().filter_map(|pid| Self::of(pid).ok());
        readings.fold(Self::default(), |sum, one| Self {
            cpu: sum.cpu + one.cpu,
            pss: sum.pss + one.pss,
            rss: sum.rss + one.rss,
            anonymous: sum.anonymous + one.anonymous,
            descriptors: sum.descriptors + one.descriptors,
        })
    }
}

/// CPU time of the process `pid`, with its waited-for children.
///
/// # Errors
/// When there is no such process.
pub fn cpu(pid: u32) -> io::Result<Duration> {
    let stat = Stat::of(pid)?;
    // utime, stime, cutime, cstime: fields 14 to 17 of proc_pid_stat(5).
    Ok(ticks((14..=17).map(|field| stat.number(field)).sum()))
}

/// CPU time that the whole machine has spent on anything since its start.
///
/// # Errors
/// When `/proc/stat` cannot be read.
pub fn machine_cpu() -> io::Result<Duration> {
    let text = fs::read_to_string("/proc/stat")?;
    let numbers = text
        .lines()
        .next()
        .unwrap_or_default()
        .split_ascii_whitespace()
        .skip(1);
    // user nice system idle iowait irq softirq steal; idle ones left out.
    let busy = numbers
        .take(8)
        .enumerate()
        .filter(|(at, _)| !matches!(at, 3 | 4));
    Ok(ticks(
        busy.filter_map(|(_, text)| text.parse::<u64>().ok()).sum(),
    ))
}

/// The processes of the process group `group`.
///
/// # Errors
/// When `/proc` cannot be listed.
pub fn group(group: u32) -> io::Result<Vec<u32>> {
    let entries = fs::read_dir("/proc")?.filter_map(Result::ok);
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    // Field 5 of proc_pid_stat(5). What ended meanwhile is no member.
    let member = |pid: &u32| Stat::of(*pid).is_ok_and(|stat| stat.number(5) == u64::from(group));
    Ok(pids.filter(member).collect())
}

/// `/proc/PID/stat` behind the program's name, which may contain anything.
struct Stat(String);

impl Stat {
    fn of(pid: u32) -> io::Result<Self> {
        let text = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        let (_, rest) = text.rsplit_once(')').ok_or(io::ErrorKind::InvalidData)?;
        Ok(Self(rest.to_owned()))
    }

    /// A field by its number in `proc_pid_stat(5)`, 3 or higher.
    fn number(&self, field: usize) -> u64 {
        let text = self.0.split_ascii_whitespace().nth(field - 3);
        text.and_then(|text| text.parse().ok()).unwrap_or(0)
    }
}

fn ticks(count: u64) -> Duration {
    // The kernel promises a value; 100 is what every Linux has.
    let per_second = sysconf(SysconfVar::CLK_TCK).ok().flatten();
    let per_second = per_second
        .and_then(|hz| u64::try_from(hz).ok())
        .unwrap_or(100);
    Duration::from_nanos(count * (1_000_000_000 / per_second))
}

fn kibibytes(text: &str, key: &str) -> io::Result<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key));
    let number = line.and_then(|line| line.split_ascii_whitespace().next()?.parse::<u64>().ok());
    number.map(|kibibytes| kibibytes * 1024).ok_or_else(|| {
        // A zombie has no memory and therefore no such line.
        io::Error::new(io::ErrorKind::NotFound, format!("no {key} line"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readings_of_this_process_are_plausible_and_grow() {
        let pid = std::process::id();
        let before = Usage::of(pid).unwrap();
        assert!(
            before.pss > 100 * 1024
                && before.pss <= before.rss
                && before.anonymous > 0
                && before.anonymous < before.rss,
            "{before:?}"
        );
        let files: Vec<_> = (0..100)
            .map(|_| fs::File::open("/dev/null").unwrap())
            .collect();
        let memory = crate::payload::payload(1, 64 << 20);
        let after = Usage::of(pid).unwrap();
        assert!(
            after.descriptors >= before.descriptors + 90,
            "{before:?} {after:?}"
        );
        assert!(after.rss >= before.rss + (60 << 20), "{before:?} {after:?}");
        assert!(after.cpu >= before.cpu);
        drop((files, memory));
    }

    #[test]
    fn the_machine_has_spent_at_least_what_this_process_has() {
        let own = cpu(std::process::id()).unwrap();
        assert!(machine_cpu().unwrap() >= own);
    }

    #[test]
    fn a_process_that_does_not_exist_is_an_error_and_sums_to_nothing() {
        // Above the largest pid that Linux gives.
        assert!(Usage::of(1 << 23).is_err());
        assert_eq!(Usage::sum([1 << 23]), Usage::default());
    }

    #[test]
    fn a_group_holds_its_members() {
        let own = nix::unistd::getpgrp();
        let members = group(u32::try_from(own.as_raw()).unwrap()).unwrap();
        assert!(members.contains(&std::process::id()), "{members:?}");
    }
}
