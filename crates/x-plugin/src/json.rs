//! JSON as plugins may write it: one value and whatever after it, keys in any case, null for what
//! is not there.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};
use serde_json::Value;

use crate::error::PluginError;

/// The first value of a text.
pub(crate) fn first(text: &[u8]) -> Result<Value, PluginError> {
    match serde_json::Deserializer::from_slice(text)
        .into_iter()
        .next()
    {
        Some(Ok(value)) => Ok(value),
        Some(Err(error)) => Err(PluginError::NotUnderstood(error.to_string())),
        None => Err(PluginError::NotUnderstood("the body is empty".to_owned())),
    }
}

/// The first value of a text, which must be an object: with keys in lower case and without null.
pub(crate) fn fields(text: &[u8]) -> Result<Value, PluginError> {
    match first(text)? {
        object @ Value::Object(_) => Ok(tidied(object)),
        Value::Null => Ok(Value::Object(serde_json::Map::new())),
        _ => Err(PluginError::NotUnderstood("not an object".to_owned())),
    }
}

fn tidied(value: Value) -> Value {
    match value {
        Value::Array(items) => items
            .into_iter()
            .filter(|item| !item.is_null())
            .map(tidied)
            .collect(),
        Value::Object(entries) => Value::Object(
            entries
                .into_iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(key, value)| (key.to_ascii_lowercase(), tidied(value)))
                .collect(),
        ),
        other => other,
    }
}

pub(crate) fn as_base64<S: Serializer>(bytes: &Bytes, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&STANDARD.encode(bytes))
}

#[expect(clippy::ref_option, reason = "serde hands it over like that")]
pub(crate) fn perhaps_as_base64<S: Serializer>(
    bytes: &Option<Bytes>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match bytes {
        Some(bytes) => as_base64(bytes, serializer),
        None => serializer.serialize_none(),
    }
}

pub(crate) fn from_base64<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Bytes>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let bytes = STANDARD.decode(text).map_err(D::Error::custom)?;
    Ok(Some(bytes.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_value_counts_whatever_the_case_of_its_keys() {
        let text = br#" {"OK": true, "ips": ["a", null], "x": null, "n": {"A": 1}} rubbish"#;
        let wanted = serde_json::json!({"ok": true, "ips": ["a"], "n": {"a": 1}});
        assert_eq!(fields(text).unwrap(), wanted);
        assert_eq!(fields(b"null").unwrap(), serde_json::json!({}));
        for text in [&b""[..], b"[]", b"true", b"<html>", b"{\"ok\":"] {
            assert!(fields(text).is_err(), "{text:?}");
        }
    }
}
