//! The sockets that are listened on, so that one listener can take the place of another.

use std::{
    any::{Any, TypeId},
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError, Weak},
};

/// The sockets that listeners of a program have open, by type and place.
///
/// A listener that is built for a place where another still listens takes over the socket of that
/// one: both accept from it until the other is gone, and nobody who connects meanwhile is refused.
/// Only listeners keep sockets open, never this table.
#[derive(Clone, Default)]
pub struct HeldSockets(Arc<Mutex<Table>>);

type Table = HashMap<(TypeId, String), Weak<dyn Any + Send + Sync>>;

impl HeldSockets {
    /// The socket at a place, if somebody listens there.
    pub fn get<T: Any + Send + Sync>(&self, place: &str) -> Option<Arc<T>> {
        let table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let held = table.get(&(TypeId::of::<T>(), place.to_owned()))?;
        held.upgrade()?.downcast().ok()
    }

    /// All sockets of a type.
    pub fn all<T: Any + Send + Sync>(&self) -> Vec<Arc<T>> {
        let table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let held = table.values().filter_map(Weak::upgrade);
        held.filter_map(|socket| socket.downcast().ok()).collect()
    }

    /// Notes that somebody listens at a place.
    pub fn hold<T: Any + Send + Sync>(&self, place: &str, socket: &Arc<T>) {
        let socket: Arc<dyn Any + Send + Sync> = socket.clone();
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if table.len() == table.capacity() {
            table.retain(|_, socket| socket.strong_count() > 0);
        }
        let key = (TypeId::of::<T>(), place.to_owned());
        table.insert(key, Arc::downgrade(&socket));
    }
}

impl fmt::Debug for HeldSockets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HeldSockets")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_found_by_type_and_place_for_as_long_as_somebody_has_it() {
        let held = HeldSockets::default();
        let (one, two) = (Arc::new(1_u8), Arc::new(2_u16));
        held.hold("a", &one);
        held.hold("a", &two);
        assert_eq!(held.get::<u8>("a").as_deref(), Some(&1));
        assert_eq!(held.get::<u16>("a").as_deref(), Some(&2));
        assert_eq!(held.get::<u8>("b"), None);
        drop(one);
        assert_eq!(held.get::<u8>("a"), None);
        assert_eq!(held.all::<u8>().len() + held.all::<u16>().len(), 1);
    }

    #[test]
    fn the_table_does_not_grow_with_what_is_gone() {
        let held = HeldSockets::default();
        for place in 0..10_000 {
            held.hold(&place.to_string(), &Arc::new(place));
        }
        assert!(held.0.lock().unwrap().capacity() < 100);
    }
}
