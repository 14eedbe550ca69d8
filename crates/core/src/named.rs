//! The objects that have names, and references to them that outlive what they name.

use std::{
    any::{Any, TypeId},
    collections::HashMap,
    fmt,
    marker::PhantomData,
    net::IpAddr,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{
            AtomicU64,
            Ordering::{Acquire, Release},
        },
    },
};

use arc_swap::{ArcSwapOption, Guard};
use bytes::Bytes;

use crate::{
    addr::{Addr, Network},
    error::{Error, Result, Why},
    policy::{
        Admission, Answer, Asker, Authenticator, Bypass, BypassQuery, Credentials, Event, Observer,
        Recorder,
    },
    registry::Kind,
    routing::{Chain, Choice, Hop, Node, Request, Route},
};

type Slot<T> = Arc<Place<T>>;

/// What has a name now.
struct Place<T> {
    made: ArcSwapOption<T>,
    /// How often something else was put here.
    version: AtomicU64,
}

impl<T> Place<T> {
    fn new(made: Option<T>) -> Self {
        Self {
            made: ArcSwapOption::from(made.map(Arc::new)),
            version: AtomicU64::new(0),
        }
    }

    fn set(&self, made: Option<T>) {
        self.made.store(made.map(Arc::new));
        self.version.fetch_add(1, Release);
    }
}

/// The named objects of a program, each in a slot that outlives it.
#[derive(Default)]
pub struct Named {
    slots: RwLock<HashMap<(TypeId, String), AnySlot>>,
}

type AnySlot = Arc<dyn Empty>;

/// A slot of whatever kind.
trait Empty: Send + Sync {
    fn as_any(&self) -> &dyn Any;

    fn empty(&self);
}

impl<T: Send + Sync + 'static> Empty for Slot<T> {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn empty(&self) {
        self.set(None);
    }
}

impl Named {
    /// Puts an object under a name, in a slot of its own.
    pub fn put<K: Kind + ?Sized>(&self, name: &str, made: K::Made) -> Ref<K>
    where
        K::Made: Clone + Sync,
    {
        self.insert(name, Arc::new(Place::new(Some(made))))
    }

    /// Keeps a name: with the slot that `before` has for it, so that whoever holds that sees what
    /// is put there from now on; otherwise with a new one, which is empty.
    pub fn keep<K: Kind + ?Sized>(&self, name: &str, before: &Self) -> Ref<K>
    where
        K::Made: Clone + Sync,
    {
        let slot = before.slot::<K>(name);
        self.insert(name, slot.unwrap_or_else(|| Arc::new(Place::new(None))))
    }

    /// Keeps what components have put under the empty name: what they share, and no configuration
    /// mentions.
    pub fn keep_shared(&self, before: &Self) {
        let kept = before.slots.read().unwrap_or_else(PoisonError::into_inner);
        let shared = kept.iter().filter(|((_, name), _)| name.is_empty());
        let mut slots = self.slots.write().unwrap_or_else(PoisonError::into_inner);
        slots.extend(shared.map(|(key, slot)| (key.clone(), slot.clone())));
    }

    /// The slot of a name. An unknown name is an error: never an open door.
    pub fn get<K: Kind + ?Sized>(&self, name: &str) -> Result<Ref<K>>
    where
        K::Made: Clone + Sync,
    {
        let slot = self.slot::<K>(name);
        slot.map(|slot| Ref::new(name, slot)).ok_or_else(|| {
            Error::new(
                Why::BadInput,
                format!("there is no {} named {name:?}", K::NAME),
            )
        })
    }

    /// Empties the slots of all names that `now` does not have.
    pub fn shut_all_but(&self, now: &Self) {
        let kept = now.slots.read().unwrap_or_else(PoisonError::into_inner);
        let slots = self.slots.read().unwrap_or_else(PoisonError::into_inner);
        for (_, slot) in slots.iter().filter(|(key, _)| !kept.contains_key(key)) {
            slot.empty();
        }
    }

    fn insert<K: Kind + ?Sized>(&self, name: &str, slot: Slot<K::Made>) -> Ref<K>
    where
        K::Made: Clone + Sync,
    {
        let mut slots = self.slots.write().unwrap_or_else(PoisonError::into_inner);
        slots.insert(key::<K>(name), Arc::new(slot.clone()));
        Ref::new(name, slot)
    }

    fn slot<K: Kind + ?Sized>(&self, name: &str) -> Option<Slot<K::Made>>
    where
        K::Made: Clone + Sync,
    {
        let slots = self.slots.read().unwrap_or_else(PoisonError::into_inner);
        let slot = slots.get(&key::<K>(name))?;
        slot.as_any().downcast_ref::<Slot<K::Made>>().cloned()
    }
}

fn key<K: Kind + ?Sized>(name: &str) -> (TypeId, String) {
    (TypeId::of::<K>(), name.to_owned())
}

impl fmt::Debug for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Named")
    }
}

/// A reference to a named object: whoever holds it sees the object that the name means now.
///
/// A slot that was emptied is *shut*: its users deny and have no route; they never open, and
/// never go direct.
pub struct Ref<K: Kind + ?Sized>
where
    K::Made: Clone + Sync,
{
    name: Arc<str>,
    slot: Slot<K::Made>,
    kind: PhantomData<fn() -> Box<K>>,
}

impl<K: Kind + ?Sized> Ref<K>
where
    K::Made: Clone + Sync,
{
    fn new(name: &str, slot: Slot<K::Made>) -> Self {
        Self {
            name: name.into(),
            slot,
            kind: PhantomData,
        }
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The object; `None` when the slot was emptied.
    pub fn load(&self) -> Guard<Option<Arc<K::Made>>> {
        self.slot.made.load()
    }

    /// Another number when the name means another object than before, or none. Whoever asks for it
    /// first and then [loads](Self::load) has something at least as new.
    pub fn version(&self) -> u64 {
        self.slot.version.load(Acquire)
    }

    /// The object; an error that names it when the slot was emptied.
    pub fn get(&self) -> Result<K::Made> {
        self.load()
            .as_ref()
            .map(|made| K::Made::clone(made))
            .ok_or_else(|| {
                Error::new(
                    Why::NoRoute,
                    format!("the {} named {:?} was removed", K::NAME, self.name),
                )
            })
    }

    /// Puts another object into the slot, or empties it.
    pub fn set(&self, made: Option<K::Made>) {
        self.slot.set(made);
    }
}

impl<K: Kind + ?Sized> Clone for Ref<K>
where
    K::Made: Clone + Sync,
{
    fn clone(&self) -> Self {
        Self {
            name: self.name.clone(),
            slot: self.slot.clone(),
            kind: PhantomData,
        }
    }
}

/// A removed authenticator lets nobody in.
impl Authenticator for Ref<dyn Authenticator> {
    fn authenticate<'a>(
        &'a self,
        given: &'a Credentials,
        asker: &'a Asker,
    ) -> Answer<'a, Option<String>> {
        let Ok(now) = self.get() else {
            return Answer::Now(None);
        };
        if let Answer::Now(known) = now.authenticate(given, asker) {
            return Answer::Now(known);
        }
        Answer::later(async move { now.authenticate(given, asker).await })
    }
}

/// A removed admission admits nobody. Those whom it admitted stay.
impl Admission for Ref<dyn Admission> {
    fn admit<'a>(&'a self, network: Network, from: &'a Addr, asker: &'a Asker) -> Answer<'a, bool> {
        let Ok(now) = self.get() else {
            return Answer::Now(false);
        };
        if let Answer::Now(known) = now.admit(network, from, asker) {
            return Answer::Now(known);
        }
        Answer::later(async move { now.admit(network, from, asker).await })
    }

    fn version(&self) -> u64 {
        self.get().map_or(0, |now| now.version())
    }

    fn lets_stay(&self, client: IpAddr) -> bool {
        self.get().map_or(true, |now| now.lets_stay(client))
    }
}

/// A removed bypass keeps everything out.
impl Bypass for Ref<dyn Bypass> {
    fn is_whitelist(&self) -> bool {
        self.get().is_ok_and(|now| now.is_whitelist())
    }

    fn is_shut(&self) -> bool {
        self.get().map_or(true, |now| now.is_shut())
    }

    fn contains<'a>(&'a self, query: &'a BypassQuery, asker: &'a Asker) -> Answer<'a, bool> {
        let Ok(now) = self.get() else {
            return Answer::Now(true);
        };
        if let Answer::Now(known) = now.contains(query, asker) {
            return Answer::Now(known);
        }
        Answer::later(async move { now.contains(query, asker).await })
    }
}

/// A removed recorder records nothing.
impl Recorder for Ref<dyn Recorder> {
    fn record(&self, record: Bytes, metadata: &Arc<str>) -> Answer<'static, Result<()>> {
        match self.get() {
            Ok(now) => now.record(record, metadata),
            Err(_) => Answer::Now(Ok(())),
        }
    }
}

/// A removed observer looks away.
impl Observer for Ref<dyn Observer> {
    fn observe<'a>(&'a self, events: &'a [Event]) -> Answer<'a, Result<()>> {
        match self.get() {
            Ok(now) => Answer::later(async move { now.observe(events).await }),
            Err(_) => Answer::Now(Ok(())),
        }
    }
}

/// A removed hop has no node.
impl Hop for Ref<dyn Hop> {
    fn select<'a>(
        &'a self,
        request: &'a Request,
        tried: &'a [Arc<Node>],
    ) -> Answer<'a, Result<Choice>> {
        match self.get() {
            Ok(now) => Answer::later(async move { now.select(request, tried).await }),
            Err(error) => Answer::Now(Err(error)),
        }
    }
}

/// A removed chain leads nowhere.
impl Chain for Ref<dyn Chain> {
    fn route<'a>(
        &'a self,
        request: &'a Request,
        tried: &'a [Arc<Node>],
    ) -> Answer<'a, Result<Route>> {
        match self.get() {
            Ok(now) => Answer::later(async move { now.route(request, tried).await }),
            Err(error) => Answer::Now(Err(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Contains everything.
    struct All;

    impl Bypass for All {
        fn is_whitelist(&self) -> bool {
            false
        }

        fn contains<'a>(&'a self, _: &'a BypassQuery, _: &'a Asker) -> Answer<'a, bool> {
            Answer::Now(true)
        }
    }

    #[test]
    fn a_name_that_is_kept_is_the_same_slot_and_others_are_shut() {
        let before = Named::default();
        let kept = before.put::<dyn Bypass>("kept", Arc::new(All));
        let gone = before.put::<dyn Bypass>("gone", Arc::new(All));
        let now = Named::default();
        let again = now.keep::<dyn Bypass>("kept", &before);
        let new = now.keep::<dyn Bypass>("new", &before);
        assert!(kept.get().is_ok() && again.get().is_ok() && new.get().is_err());
        before.shut_all_but(&now);
        assert!(gone.get().is_err());
        again.set(None);
        assert!(kept.get().is_err(), "both are the same slot");
        new.set(Some(Arc::new(All)));
        assert!(
            now.get::<dyn Bypass>("new")
                .is_ok_and(|new| new.get().is_ok())
        );
        assert!(now.get::<dyn Bypass>("gone").is_err());

        now.put::<dyn Bypass>("", Arc::new(All));
        let later = Named::default();
        later.keep_shared(&now);
        now.shut_all_but(&later);
        let shared = later.get::<dyn Bypass>("");
        assert!(shared.is_ok_and(|shared| shared.get().is_ok()));
        assert!(later.get::<dyn Bypass>("new").is_err());
    }

    #[tokio::test]
    async fn who_was_removed_keeps_shut() {
        fn gone<K: Kind + ?Sized>() -> Ref<K>
        where
            K::Made: Clone + Sync,
        {
            Named::default().keep("gone", &Named::default())
        }
        let (asker, request) = (Asker::default(), Request::default());
        let auther = gone::<dyn Authenticator>();
        let id = auther.authenticate(&Credentials::default(), &asker).await;
        assert_eq!(id, None);
        let admission = gone::<dyn Admission>();
        assert!(!admission.admit(Network::Tcp, &Addr::Any, &asker).await);
        assert!(admission.lets_stay([127, 0, 0, 1].into()), "who is there");
        let bypass = gone::<dyn Bypass>();
        assert!(bypass.is_shut() && bypass.contains(&BypassQuery::default(), &asker).await);
        assert!(gone::<dyn Hop>().select(&request, &[]).await.is_err());
        assert!(gone::<dyn Chain>().route(&request, &[]).await.is_err());
        // Nobody waits for those who only listen.
        let recorded = gone::<dyn Recorder>().record(Bytes::new(), &"null".into());
        assert!(recorded.await.is_ok());
        assert!(gone::<dyn Observer>().observe(&[]).await.is_ok());
    }
}
