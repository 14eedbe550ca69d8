//! The unix listener.

use gost_core::{
    prelude::*,
    values::{FromValue, Value},
};

options! {
    /// Options of the unix listener.
    pub struct UnixListenerOptions {
        /// The mode of the socket's file, such as `0666`; that of the process when absent or 0.
        mode: Option<Mode> = None, "mode";
    }
}

/// A file mode. Text is read in the base of its prefix: `0666` and `0o666` are octal, `0x1b6` is
/// hexadecimal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mode(pub u32);

impl FromValue for Mode {
    const KIND: &'static str = "a file mode such as 0666";

    fn from_value(value: &Value) -> Option<Self> {
        let mode = match value {
            Value::Int(mode) => u32::try_from(*mode).ok(),
            Value::Text(text) => parse(text),
            _ => None,
        };
        mode.filter(|mode| *mode <= 0o7777).map(Self)
    }

    fn show(&self) -> String {
        format!("{:04o}", self.0)
    }
}

fn parse(text: &str) -> Option<u32> {
    let lower = text.to_ascii_lowercase();
    let (digits, base) = match lower.as_bytes() {
        [b'0', b'x', ..] => (&lower[2..], 16),
        [b'0', b'o', ..] => (&lower[2..], 8),
        [b'0', b'b', ..] => (&lower[2..], 2),
        [b'0', _, ..] => (&lower[1..], 8),
        _ => (&*lower, 10),
    };
    u32::from_str_radix(digits, base).ok()
}

pub(crate) async fn build(options: UnixListenerOptions, build: Build) -> Result<Box<dyn Listener>> {
    let mode = options.mode.map(|mode| mode.0).filter(|mode| *mode != 0);
    gost_net::listen::unix(&build.addr, mode, &build.door)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_read_in_the_base_of_their_prefix() {
        for (text, mode) in [
            ("0666", 0o666),
            ("0o600", 0o600),
            ("0x1ff", 0o777),
            ("438", 0o666),
            ("0", 0),
        ] {
            assert_eq!(
                Mode::from_value(&Value::Text(text.into())),
                Some(Mode(mode)),
                "{text}"
            );
        }
        for text in ["", "rw", "099", "99999"] {
            assert_eq!(Mode::from_value(&Value::Text(text.into())), None, "{text}");
        }
    }
}
