//! Sizes with units, such as `10MB`.

/// The units, each 1024 times the one before.
const UNITS: [&str; 7] = ["B", "KB", "MB", "GB", "TB", "PB", "EB"];

/// A number of bytes as somebody wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Bytes.
    pub bytes: u64,
    /// It was written without a unit, and taken for bytes.
    pub bare: bool,
}

impl Size {
    /// Reads `10MB`, `512KiB`, `1.5MB` or `1MB512KB`; units are powers of 1024. A number without a
    /// unit is one of bytes, and less than nothing is nothing.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        if let Some(number) = text.strip_prefix('-')
            && number.starts_with(|c: char| c.is_ascii_digit())
        {
            Self::parse(number)?;
            return Ok(Self {
                bytes: 0,
                bare: false,
            });
        }
        let number = text.strip_prefix('+').unwrap_or(text);
        let wrong = || format!("{text} is not a size (B, KB, MB, GB …)");
        if number.is_empty() {
            return Err(wrong());
        }
        if let Ok(bytes) = number.parse() {
            let bare = bytes != 0;
            return Ok(Self { bytes, bare });
        }
        let mut total = 0.0;
        let mut rest = number;
        while !rest.is_empty() {
            let digits = rest
                .find(|c: char| !c.is_ascii_digit() && c != '.')
                .ok_or_else(wrong)?;
            let (number, tail) = rest.split_at(digits);
            let end = tail.find(|c: char| c.is_ascii_digit() || c == '.');
            let (unit, next) = tail.split_at(end.unwrap_or(tail.len()));
            let number: f64 = number.parse().map_err(|_| wrong())?;
            let plain = unit.replace("iB", "B");
            let Some(power) = UNITS.iter().position(|name| *name == plain) else {
                return Err(format!("unknown unit {unit} in {text} (B, KB, MB, GB …)"));
            };
            total += (0..power).fold(number, |bytes, _| bytes * 1024.0);
            rest = next;
        }
        #[expect(clippy::cast_sign_loss, reason = "there is no sign")]
        Ok(Self {
            bytes: total as u64,
            bare: false,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_powers_of_1024() {
        for (text, bytes) in [
            ("0", 0),
            ("0B", 0),
            ("-1", 0),
            ("-1MB", 0),
            ("1KB", 1024),
            ("1KiB", 1024),
            ("+1KB", 1024),
            ("1.5MB", 1_572_864),
            ("1MB512KB", 1_572_864),
            ("1EB", 1 << 60),
        ] {
            assert_eq!(Size::parse(text), Ok(Size { bytes, bare: false }), "{text}");
        }
        for text in [
            "", "+", "10M", "1kB", "x", "MB", "-", "--1", "-x", "1MB5", "1.5", "1..5KB",
        ] {
            assert!(Size::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_number_without_a_unit_is_one_of_bytes() {
        let size = Size::parse("20000").unwrap();
        assert_eq!((size.bytes, size.bare), (20_000, true));
    }
}
