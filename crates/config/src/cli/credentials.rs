//! Users and passwords of URLs.

use base64::{
    Engine as _,
    engine::{
        DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig,
        general_purpose::{STANDARD, URL_SAFE_NO_PAD},
    },
};

use super::{query::Query, url::Url};
use crate::{Auth, Place};

/// The credentials of a URL: userinfo, or else the `auth` parameter.
///
/// # Errors
/// An `auth` parameter that is not base64; the message does not show it.
pub(crate) fn credentials(url: &Url, query: &Query, place: Place) -> Result<Option<Auth>, String> {
    let parameter = query.text(&["auth"]);
    // A colon with nothing behind it asks for the empty password.
    let mut has_password = url
        .user
        .as_ref()
        .is_some_and(|(_, password)| password.is_some());
    let (username, password) = if let Some((user, password)) = &url.user {
        let packed = (url.scheme.starts_with("ss") && password.is_none())
            .then(|| unpack(user))
            .flatten();
        packed.unwrap_or_else(|| (user.clone(), password.clone().unwrap_or_default()))
    } else if parameter.is_empty() {
        return Ok(None);
    } else {
        let text = decode(&parameter).ok_or_else(|| wrong(&parameter))?;
        has_password = text.contains(':');
        match text.split_once(':') {
            Some((user, password)) => (user.to_owned(), password.to_owned()),
            None => (text, String::new()),
        }
    };
    let place = if has_password {
        place.with_key("password")
    } else {
        place
    };
    Ok(Some(Auth {
        username,
        password: password.into(),
        place,
        ..Auth::default()
    }))
}

/// `method:password` in base64, as SIP002 of Shadowsocks has it.
fn unpack(user: &str) -> Option<(String, String)> {
    let text = decode(user).filter(|_| !user.is_empty())?;
    let (user, password) = text.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

fn decode(text: &str) -> Option<String> {
    // Go does not look at the bits left over at the end.
    const LAX: GeneralPurposeConfig = GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone);
    const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&base64::alphabet::URL_SAFE, LAX);
    const PADDED: GeneralPurpose = GeneralPurpose::new(
        &base64::alphabet::STANDARD,
        LAX.with_decode_padding_mode(DecodePaddingMode::RequireCanonical),
    );
    // Nor at line ends.
    let text = text.replace(['\r', '\n'], "");
    let bytes = URL_SAFE.decode(&text).or_else(|_| PADDED.decode(&text));
    Some(String::from_utf8_lossy(&bytes.ok()?).into_owned())
}

fn wrong(text: &str) -> String {
    let reason = if text.contains(':') {
        ": it takes base64 of user:password"
    } else if text.contains('=') && STANDARD.decode(text).is_err() {
        let bare = text.trim_end_matches('=');
        if URL_SAFE_NO_PAD.decode(bare).is_ok() {
            ": wrong padding"
        } else {
            ""
        }
    } else {
        ""
    };
    format!("the auth parameter is not base64{reason}")
}
