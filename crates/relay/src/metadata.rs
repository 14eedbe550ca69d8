//! The metadata feature

use bytes::{Buf, BufMut};

use crate::error::{DecodeError, ValueError};
use crate::feature::Feature;

/// Pairs of texts, such as `record.mode` and `off`, in the order they were added.
///
/// At most [`MAX_PAIRS`](Self::MAX_PAIRS) pairs of at most
/// [`MAX_LEN`](Self::MAX_LEN) bytes each. Pairs beyond the former are ignored
/// when decoding, as the original does; texts beyond the latter, which no
/// encoder sends, are refused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    pairs: Vec<(Box<str>, Box<str>)>,
}

impl Metadata {
    /// The most pairs in one feature.
    pub const MAX_PAIRS: usize = 20;
    /// The most bytes of a key or a value.
    pub const MAX_LEN: usize = 255;

    /// No pairs.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a pair. A value that the key has already is replaced in its place.
    ///
    /// # Errors
    /// A text is too long, or there are too many pairs.
    pub fn with(
        mut self,
        key: impl Into<Box<str>>,
        value: impl Into<Box<str>>,
    ) -> Result<Self, ValueError> {
        let (key, value) = (key.into(), value.into());
        ValueError::check("metadata key", key.len(), Self::MAX_LEN)?;
        ValueError::check("metadata value", value.len(), Self::MAX_LEN)?;
        if let Some(pair) = self.pairs.iter_mut().find(|pair| pair.0 == key) {
            pair.1 = value;
            return Ok(self);
        }
        if self.pairs.len() == Self::MAX_PAIRS {
            return Err(ValueError::TooManyPairs);
        }
        self.pairs.push((key, value));
        Ok(self)
    }

    /// The value of a key; of the last such pair if a peer sent several.
    pub fn get(&self, key: &str) -> Option<&str> {
        let pair = self.pairs.iter().rev().find(|pair| &*pair.0 == key)?;
        Some(&pair.1)
    }

    /// The pairs in the order of the wire.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&str, &str)> {
        self.pairs.iter().map(|(key, value)| (&**key, &**value))
    }

    /// How many pairs there are.
    pub fn len(&self) -> usize {
        self.pairs.len()
    }

    /// Whether there are no pairs.
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    pub(crate) fn data_len(&self) -> usize {
        let texts: usize = self.iter().map(|(k, v)| 4 + k.len() + v.len()).sum();
        2 + texts
    }

    pub(crate) fn put(&self, into: &mut impl BufMut) {
        into.put_u16(self.pairs.len() as u16);
        for (key, value) in self.iter() {
            for text in [key, value] {
                into.put_u16(text.len() as u16);
                into.put_slice(text.as_bytes());
            }
        }
    }

    pub(crate) fn decode(mut data: &[u8]) -> Result<Self, DecodeError> {
        let count = length(&mut data)?.min(Self::MAX_PAIRS);
        let mut pairs = Vec::new();
        for _ in 0..count {
            let key = text(&mut data, "metadata key")?;
            let value = text(&mut data, "metadata value")?;
            pairs.push((key.into(), value.into()));
        }
        Ok(Self { pairs })
    }
}

const SHORT: DecodeError = DecodeError::FeatureShort {
    kind: Feature::METADATA,
};

fn length(data: &mut &[u8]) -> Result<usize, DecodeError> {
    data.try_get_u16().map(usize::from).map_err(|_| SHORT)
}

fn text<'a>(data: &mut &'a [u8], what: &'static str) -> Result<&'a str, DecodeError> {
    let len = length(data)?;
    if len > Metadata::MAX_LEN {
        return Err(DecodeError::MetadataLength(len));
    }
    let (text, rest) = data.split_at_checked(len).ok_or(SHORT)?;
    *data = rest;
    std::str::from_utf8(text).map_err(|_| DecodeError::Text(what))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_order_and_replaces_in_place() {
        let metadata = Metadata::new()
            .with("a", "1")
            .and_then(|m| m.with("b", "2"))
            .and_then(|m| m.with("a", "3"))
            .unwrap();
        assert_eq!(
            metadata.iter().collect::<Vec<_>>(),
            [("a", "3"), ("b", "2")]
        );
        assert_eq!(metadata.get("a"), Some("3"));
        assert_eq!(metadata.get("c"), None);
        assert_eq!(metadata.len(), 2);
    }

    #[test]
    fn limits_hold() {
        let mut metadata = Metadata::new();
        for i in 0..Metadata::MAX_PAIRS {
            metadata = metadata.with(i.to_string(), "v".repeat(255)).unwrap();
        }
        assert_eq!(
            metadata.clone().with("more", ""),
            Err(ValueError::TooManyPairs)
        );
        assert!(metadata.with("0", "again").is_ok());
        assert!(Metadata::new().with("k".repeat(256), "").is_err());
        assert!(Metadata::new().with("", "v".repeat(256)).is_err());
    }

    #[test]
    fn surplus_pairs_are_ignored_and_the_last_of_equal_keys_counts() {
        let mut data = vec![0x12, 0x34];
        for i in 0..30u8 {
            data.extend([0, 1, b'k', 0, 1, b'a' + i % 26]);
        }
        let metadata = Metadata::decode(&data).unwrap();
        assert_eq!(metadata.len(), 20);
        assert_eq!(metadata.get("k"), Some("t"));
    }
}
