//! The files that were put aside.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, SystemTime},
};

use chrono::{DateTime, Local, NaiveDateTime, TimeZone as _, Utc};
use flate2::{Compression, write::GzEncoder};

use crate::Rotation;

/// The time in the name of an old file, as lumberjack writes it.
const STAMP: &str = "%Y-%m-%dT%H-%M-%S%.3f";

const DAY: u64 = 24 * 60 * 60;

/// The files that were put aside, and what becomes of them.
#[derive(Debug)]
pub(crate) struct Backups {
    folder: PathBuf,
    /// What their names begin with, before the time.
    prefix: String,
    /// What they end with, after it.
    suffix: String,
    rotation: Rotation,
    /// One thread tidies at a time.
    tidying: Mutex<()>,
}

/// A file that was put aside.
struct Backup {
    path: PathBuf,
    time: SystemTime,
    packed: bool,
}

impl Backups {
    pub(crate) fn new(path: &Path, rotation: &Rotation) -> Self {
        let text = |part: Option<&std::ffi::OsStr>| {
            part.map(|part| part.to_string_lossy().into_owned())
                .unwrap_or_default()
        };
        let suffix = match text(path.extension()) {
            extension if extension.is_empty() => String::new(),
            extension => format!(".{extension}"),
        };
        let folder = path.parent().filter(|folder| *folder != Path::new(""));
        Self {
            folder: folder.unwrap_or(Path::new(".")).to_owned(),
            prefix: format!("{}-", text(path.file_stem())),
            suffix,
            rotation: rotation.clone(),
            tidying: Mutex::default(),
        }
    }

    /// The name for a file that is put aside now. Within a millisecond there is one at most.
    pub(crate) fn next(&self) -> PathBuf {
        let mut now = Utc::now();
        loop {
            let stamp = if self.rotation.local_time {
                now.with_timezone(&Local).format(STAMP).to_string()
            } else {
                now.format(STAMP).to_string()
            };
            let name = format!("{}{stamp}{}", self.prefix, self.suffix);
            let path = self.folder.join(&name);
            if !path.exists() && !self.folder.join(format!("{name}.gz")).exists() {
                return path;
            }
            now += Duration::from_millis(1);
        }
    }

    /// Removes and compresses what is due, on a thread of its own.
    pub(crate) fn tidy_aside(self: &Arc<Self>) {
        let rotation = &self.rotation;
        if rotation.max_age == 0 && rotation.max_backups == 0 && !rotation.compress {
            return;
        }
        let backups = self.clone();
        let work = move || backups.tidy();
        let spawned = thread::Builder::new()
            .name("gost-rotate".into())
            .spawn(work);
        if let Err(error) = spawned {
            tracing::warn!("tidy old files in {}: {error}", self.folder.display());
        }
    }

    /// Removes and compresses what is due.
    pub(crate) fn tidy(&self) {
        let _one = self.tidying.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = self.try_tidy() {
            tracing::warn!("tidy old files in {}: {error}", self.folder.display());
        }
    }

    fn try_tidy(&self) -> io::Result<()> {
        let mut all = self.list()?;
        all.sort_by_key(|backup| std::cmp::Reverse(backup.time));
        let most = match self.rotation.max_backups {
            0 => usize::MAX,
            most => most,
        };
        let age = Duration::from_secs(self.rotation.max_age.saturating_mul(DAY));
        let now = SystemTime::now();
        for (place, backup) in all.iter().enumerate() {
            let old = !age.is_zero()
                && now
                    .duration_since(backup.time)
                    .is_ok_and(|passed| passed > age);
            if place >= most || old {
                fs::remove_file(&backup.path)?;
            } else if self.rotation.compress && !backup.packed {
                pack(&backup.path)?;
            }
        }
        Ok(())
    }

    fn list(&self) -> io::Result<Vec<Backup>> {
        let mut all = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            let name = entry.file_name();
            let Some(name) = name.to_str() else { continue };
            let (plain, packed) = match name.strip_suffix(".gz") {
                Some(plain) => (plain, true),
                None => (name, false),
            };
            let stamp = plain.strip_prefix(&self.prefix);
            let stamp = stamp.and_then(|rest| rest.strip_suffix(&self.suffix));
            if let Some(time) = stamp.and_then(|stamp| self.time(stamp)) {
                all.push(Backup {
                    path: entry.path(),
                    time,
                    packed,
                });
            }
        }
        Ok(all)
    }

    fn time(&self, stamp: &str) -> Option<SystemTime> {
        let naive = NaiveDateTime::parse_from_str(stamp, STAMP).ok()?;
        let time: DateTime<Utc> = if self.rotation.local_time {
            Local.from_local_datetime(&naive).earliest()?.to_utc()
        } else {
            naive.and_utc()
        };
        Some(time.into())
    }
}

/// Compresses a file. Until that is done the new one has another name.
fn pack(path: &Path) -> io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(".gz");
    let packed = PathBuf::from(name);
    let half = packed.with_extension("gz.tmp");
    let mut from = File::open(path)?;
    let to = File::create(&half)?;
    to.set_permissions(from.metadata()?.permissions())?;
    let mut encoder = GzEncoder::new(to, Compression::default());
    io::copy(&mut from, &mut encoder)?;
    encoder.finish()?.sync_all()?;
    fs::rename(half, packed)?;
    fs::remove_file(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_files_go_by_age_and_strangers_stay() {
        let folder = tempfile::tempdir().unwrap();
        let rotation = Rotation {
            max_age: 2,
            ..Rotation::default()
        };
        let backups = Backups::new(&folder.path().join("a.log"), &rotation);
        let stamp = |days: u64| {
            let time = SystemTime::now() - Duration::from_secs(days * DAY + 60);
            let time: DateTime<Utc> = time.into();
            format!("a-{}.log", time.format(STAMP))
        };
        let names = [
            stamp(1),
            stamp(2),
            format!("{}.gz", stamp(3)),
            "a-old.log".to_owned(),
            "b-2006-01-02T15-04-05.000.log".to_owned(),
        ];
        for name in &names {
            fs::write(folder.path().join(name), "x").unwrap();
        }
        backups.tidy();
        let left = names.iter().map(|name| folder.path().join(name).exists());
        assert_eq!(left.collect::<Vec<_>>(), [true, false, false, true, true]);
    }

    #[test]
    fn no_two_old_files_have_one_name() {
        let folder = tempfile::tempdir().unwrap();
        let backups = Backups::new(&folder.path().join("a"), &Rotation::default());
        for count in 1..=20 {
            fs::write(backups.next(), "x").unwrap();
            assert_eq!(backups.list().unwrap().len(), count);
        }
    }
}
