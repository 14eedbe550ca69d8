//! What was made before, to be found again: what is still wanted the same is the same object.

use std::{
    any::{Any, TypeId},
    collections::HashMap,
    future::Future,
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

use gost_config::{Auth, Tls};
use gost_core::values::{Value, Values};
use parking_lot::Mutex;

/// Everything that was made of one configuration, by type and place. Objects that stand at the
/// same place, such as nodes of one name, are told apart by what was wanted.
#[derive(Default)]
pub(crate) struct Kept(HashMap<(TypeId, String), Vec<Arc<Entry>>>);

struct Entry {
    /// The configuration it was made of, with all that was inherited.
    wanted: Box<dyn Any + Send + Sync>,
    /// The keys of its metadata that were read by the time it was made.
    read: Vec<String>,
    made: Box<dyn Any + Send + Sync>,
}

/// Finds what was made before, and collects what is made now. What was before stays untouched.
pub(crate) struct Keeper<'a> {
    before: &'a Kept,
    now: Mutex<Kept>,
}

impl<'a> Keeper<'a> {
    pub(crate) fn new(before: &'a Kept) -> Self {
        Self {
            before,
            now: Mutex::default(),
        }
    }

    /// All that was made or found, to be found the next time.
    pub(crate) fn into_kept(self) -> Kept {
        self.now.into_inner()
    }

    /// What was made before at `place` when the same was wanted; otherwise it is made.
    ///
    /// Keys of `values` that were read back then count as read.
    pub(crate) async fn keep<W, T, E>(
        &self,
        place: &str,
        wanted: W,
        values: &Values,
        make: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E>
    where
        W: PartialEq + Send + Sync + 'static,
        T: Clone + Send + Sync + 'static,
    {
        if let Some(made) = self.find(place, &wanted, values) {
            return Ok(made);
        }
        let made = make.await?;
        let entry = Entry {
            wanted: Box::new(wanted),
            read: read_keys(values),
            made: Box::new(made.clone()),
        };
        self.put::<W, T>(place, Arc::new(entry));
        Ok(made)
    }

    /// Notes what was wanted of something that is kept elsewhere.
    pub(crate) fn note<W>(&self, place: &str, wanted: W, values: &Values)
    where
        W: PartialEq + Send + Sync + 'static,
    {
        let entry = Entry {
            wanted: Box::new(wanted),
            read: read_keys(values),
            made: Box::new(()),
        };
        self.put::<W, ()>(place, Arc::new(entry));
    }

    /// What was made before at `place` when the same was wanted.
    pub(crate) fn find<W, T>(&self, place: &str, wanted: &W, values: &Values) -> Option<T>
    where
        W: PartialEq + 'static,
        T: Clone + 'static,
    {
        let entries = self.before.0.get(&key::<W, T>(place))?;
        let entry = entries.iter().find(|entry| {
            let same = entry.wanted.downcast_ref::<W>() == Some(wanted);
            same && !self.is_taken::<W, T>(place, entry)
        })?;
        for key in &entry.read {
            values.get(&[key]);
        }
        let made = entry.made.downcast_ref::<T>()?.clone();
        self.put::<W, T>(place, entry.clone());
        Some(made)
    }

    /// Two that are alike are not one.
    fn is_taken<W: 'static, T: 'static>(&self, place: &str, entry: &Arc<Entry>) -> bool {
        let now = self.now.lock();
        let taken = now.0.get(&key::<W, T>(place));
        taken.is_some_and(|taken| taken.iter().any(|taken| Arc::ptr_eq(taken, entry)))
    }

    fn put<W: 'static, T: 'static>(&self, place: &str, entry: Arc<Entry>) {
        let mut now = self.now.lock();
        now.0.entry(key::<W, T>(place)).or_default().push(entry);
    }
}

fn read_keys(values: &Values) -> Vec<String> {
    let read = values.iter().filter(|entry| entry.mark.is_read());
    read.map(|entry| entry.key.clone()).collect()
}

fn key<W: 'static, T: 'static>(place: &str) -> (TypeId, String) {
    (TypeId::of::<(W, T)>(), place.to_owned())
}

/// Equal only to itself: what is made of parts changes when one of them is another object.
#[derive(Debug)]
pub(crate) struct Same<T: ?Sized>(pub(crate) Arc<T>);

impl<T: ?Sized> PartialEq for Same<T> {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::addr_eq(Arc::as_ptr(&self.0), Arc::as_ptr(&other.0))
    }
}

impl<T: ?Sized> From<&Arc<T>> for Same<T> {
    fn from(object: &Arc<T>) -> Self {
        Self(object.clone())
    }
}

/// Keys of metadata whose value is a file with settings, which is read when the component is made.
const FILES: [&str; 3] = ["kcp.configFile", "configFile", "c"];

/// What the files say that a component reads when it is made: a certificate that was renewed in
/// its place is a change.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Files(Vec<(String, Option<u64>)>);

impl Files {
    pub(crate) fn of(auth: Option<&Auth>, tls: Option<&Tls>) -> Self {
        let of_tls = tls.map(|tls| [&tls.cert_file, &tls.key_file, &tls.ca_file]);
        let paths = auth.map(|auth| &auth.file).into_iter();
        Self::new(paths.chain(of_tls.into_iter().flatten()))
    }

    /// The files that metadata names.
    pub(crate) fn named(values: &Values) -> Self {
        let is_file = |key: &str| FILES.iter().any(|file| key.eq_ignore_ascii_case(file));
        let paths = values.iter().filter(|entry| is_file(&entry.key));
        Self::new(paths.filter_map(|entry| match &entry.value {
            Value::Text(path) => Some(path),
            _ => None,
        }))
    }

    fn new<'a>(paths: impl Iterator<Item = &'a String>) -> Self {
        let stamp = |path: &String| {
            let mut hasher = DefaultHasher::new();
            std::fs::read(path).ok()?.hash(&mut hasher);
            Some(hasher.finish())
        };
        Self(
            paths
                .filter(|path| !path.is_empty())
                .map(|path| (path.clone(), stamp(path)))
                .collect(),
        )
    }
}

#[cfg(test)]
mod tests {
    use gost_core::values::Mark;

    use super::*;

    async fn number(keeper: &Keeper<'_>, wanted: &str, values: &Values) -> Arc<u8> {
        let made = async { Ok::<_, ()>(Arc::new(0_u8)) };
        let wanted = wanted.to_owned();
        keeper.keep("place", wanted, values, made).await.unwrap()
    }

    #[tokio::test]
    async fn the_same_is_found_once_for_each_time_it_was_made() {
        let (none, values) = (Kept::default(), Values::new());
        let first = Keeper::new(&none);
        let a = number(&first, "x", &values).await;
        let b = number(&first, "x", &values).await;
        let c = number(&first, "y", &values).await;
        assert!(!Arc::ptr_eq(&a, &b));
        let before = first.into_kept();
        let second = Keeper::new(&before);
        assert!(Arc::ptr_eq(&a, &number(&second, "x", &values).await));
        assert!(Arc::ptr_eq(&b, &number(&second, "x", &values).await));
        let new = number(&second, "x", &values).await;
        assert!(!Arc::ptr_eq(&a, &new) && !Arc::ptr_eq(&b, &new));
        assert!(!Arc::ptr_eq(&c, &number(&second, "z", &values).await));
        let another = Keeper::new(&before);
        assert!(Arc::ptr_eq(&a, &number(&another, "x", &values).await));
    }

    #[tokio::test]
    async fn keys_that_were_read_of_what_is_kept_count_as_read() {
        let values = || {
            let mut values = Values::new();
            for key in ["known", "unknown"] {
                values.set(key, Value::Bool(true), Mark::new("test".into(), 1));
            }
            values
        };
        let none = Kept::default();
        let (first, old) = (Keeper::new(&none), values());
        old.get(&["known"]);
        number(&first, "x", &old).await;
        let before = first.into_kept();
        let new = values();
        number(&Keeper::new(&before), "x", &new).await;
        let read: Vec<_> = new.iter().map(|entry| entry.mark.is_read()).collect();
        assert_eq!(read, [true, false]);
    }
}
