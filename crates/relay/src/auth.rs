//! The user auth feature

use std::fmt;

use bytes::BufMut;
use subtle::ConstantTimeEq;

use crate::error::{DecodeError, ValueError};
use crate::feature::Feature;

/// User name and password of a request, each of at most 255 bytes.
///
/// `Debug` does not show the password, and comparing two of them takes the
/// same time wherever they differ.
#[derive(Clone)]
pub struct UserAuth {
    username: Box<str>,
    password: Box<str>,
}

impl UserAuth {
    /// The most bytes that a user name or a password may have.
    pub const MAX_LEN: usize = 255;

    /// Credentials, either of which may be empty.
    ///
    /// # Errors
    /// One of them exceeds [`MAX_LEN`](Self::MAX_LEN).
    pub fn new(
        username: impl Into<Box<str>>,
        password: impl Into<Box<str>>,
    ) -> Result<Self, ValueError> {
        let (username, password) = (username.into(), password.into());
        ValueError::check("user name", username.len(), Self::MAX_LEN)?;
        ValueError::check("password", password.len(), Self::MAX_LEN)?;
        Ok(Self { username, password })
    }

    /// The user name, possibly empty.
    pub fn username(&self) -> &str {
        &self.username
    }

    /// The password, possibly empty. Not for logs.
    pub fn password(&self) -> &str {
        &self.password
    }

    pub(crate) fn data_len(&self) -> usize {
        2 + self.username.len() + self.password.len()
    }

    pub(crate) fn put(&self, into: &mut impl BufMut) {
        for text in [&self.username, &self.password] {
            into.put_u8(text.len() as u8);
            into.put_slice(text.as_bytes());
        }
    }

    /// Reads ULEN user PLEN password; further bytes are ignored as the original does.
    pub(crate) fn decode(data: &[u8]) -> Result<Self, DecodeError> {
        let (username, rest) = short_text(data, "user name")?;
        let (password, _) = short_text(rest, "password")?;
        Ok(Self {
            username: username.into(),
            password: password.into(),
        })
    }
}

impl PartialEq for UserAuth {
    fn eq(&self, other: &Self) -> bool {
        let user = self.username.as_bytes().ct_eq(other.username.as_bytes());
        let pass = self.password.as_bytes().ct_eq(other.password.as_bytes());
        (user & pass).into()
    }
}

impl Eq for UserAuth {}

impl fmt::Debug for UserAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserAuth")
            .field("username", &self.username)
            .field("password", &"***")
            .finish()
    }
}

/// Splits a text with a length byte off the front.
fn short_text<'a>(data: &'a [u8], what: &'static str) -> Result<(&'a str, &'a [u8]), DecodeError> {
    let short = DecodeError::FeatureShort {
        kind: Feature::USER_AUTH,
    };
    let Some((&len, rest)) = data.split_first() else {
        return Err(short);
    };
    let Some((text, rest)) = rest.split_at_checked(usize::from(len)) else {
        return Err(short);
    };
    let text = std::str::from_utf8(text).map_err(|_| DecodeError::Text(what))?;
    Ok((text, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_hides_the_password() {
        let auth = UserAuth::new("user", "pass").unwrap();
        let shown = format!("{auth:?}");
        assert!(shown.contains("user"), "{shown}");
        assert!(!shown.contains("pass\""), "{shown}");
    }

    #[test]
    fn equality_needs_both_parts() {
        let auth = UserAuth::new("user", "pass").unwrap();
        assert_eq!(auth, UserAuth::new("user", "pass").unwrap());
        for (user, pass) in [
            ("user", "pasS"),
            ("User", "pass"),
            ("userp", "ass"),
            ("", ""),
        ] {
            assert_ne!(auth, UserAuth::new(user, pass).unwrap());
        }
    }

    #[test]
    fn lengths_are_limited() {
        assert!(UserAuth::new("u".repeat(255), "p".repeat(255)).is_ok());
        assert_eq!(
            UserAuth::new("u".repeat(256), ""),
            Err(ValueError::TooLong {
                what: "user name",
                len: 256,
                max: 255
            })
        );
        assert!(UserAuth::new("", "p".repeat(256)).is_err());
    }
}
