//! Lists of objects, which remember empty places.

use std::ops::{Deref, DerefMut};

/// A list of objects. Reads and iterates like a `Vec` of them.
///
/// A file may hold empty (null) items: they are not among the objects, but are kept for printing.
/// A list that was written, though empty, is told from one that was not.
#[derive(Clone, Debug, PartialEq)]
pub struct List<T> {
    items: Vec<T>,
    /// Where null items stood, in order, as positions in the printed list.
    nulls: Vec<usize>,
    given: bool,
}

impl<T> List<T> {
    /// Adds an object at the end.
    pub fn push(&mut self, item: T) {
        self.items.push(item);
        self.given = true;
    }

    /// True when the key was written, even with an empty list.
    pub fn is_given(&self) -> bool {
        self.given
    }

    /// Adds what another list holds, with its empty places.
    pub fn append(&mut self, mut other: Self) {
        let before = self.items.len() + self.nulls.len();
        self.nulls.extend(other.nulls.iter().map(|at| at + before));
        self.items.append(&mut other.items);
        self.given = !self.items.is_empty() || !self.nulls.is_empty();
    }

    /// Notes that the key was written.
    pub(crate) fn mark_given(&mut self) {
        self.given = true;
    }

    /// Adds an empty place.
    pub(crate) fn push_null(&mut self) {
        self.nulls.push(self.items.len() + self.nulls.len());
        self.given = true;
    }

    /// The objects in their places, with `None` for an empty place.
    pub(crate) fn places(&self) -> impl Iterator<Item = Option<&T>> {
        let mut items = self.items.iter();
        let mut nulls = self.nulls.iter().peekable();
        (0..self.items.len() + self.nulls.len()).map(move |at| {
            if nulls.next_if_eq(&&at).is_some() {
                None
            } else {
                items.next()
            }
        })
    }
}

impl<T> Default for List<T> {
    fn default() -> Self {
        Self {
            items: Vec::new(),
            nulls: Vec::new(),
            given: false,
        }
    }
}

impl<T> Deref for List<T> {
    type Target = Vec<T>;

    fn deref(&self) -> &Vec<T> {
        &self.items
    }
}

impl<T> DerefMut for List<T> {
    fn deref_mut(&mut self) -> &mut Vec<T> {
        &mut self.items
    }
}

impl<T> FromIterator<T> for List<T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        Self {
            items: items.into_iter().collect(),
            nulls: Vec::new(),
            given: true,
        }
    }
}

impl<'a, T> IntoIterator for &'a List<T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.items.iter()
    }
}

impl<T> IntoIterator for List<T> {
    type Item = T;
    type IntoIter = std::vec::IntoIter<T>;

    fn into_iter(self) -> Self::IntoIter {
        self.items.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_places_stay_where_they_were_when_lists_are_joined() {
        let mut first = List::default();
        first.push_null();
        first.push('a');
        let mut second = List::default();
        second.push('b');
        second.push_null();
        first.append(second);
        assert_eq!(*first, ['a', 'b']);
        let places: Vec<_> = first.places().map(Option::<&char>::copied).collect();
        assert_eq!(places, [None, Some('a'), Some('b'), None]);
    }
}
