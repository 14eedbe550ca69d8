//! The status byte of a response

use std::fmt;

/// How a server answered, the second byte of a response.
///
/// An open set: codes without a constant are kept as they came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Status(u8);

impl Status {
    /// The request is granted.
    pub const OK: Self = Self(0x00);
    /// The request makes no sense, or its command is not served here.
    pub const BAD_REQUEST: Self = Self(0x01);
    /// Credentials are missing or wrong.
    pub const UNAUTHORIZED: Self = Self(0x02);
    /// A rule forbids it, or the feature is switched off.
    pub const FORBIDDEN: Self = Self(0x03);
    /// It took too long.
    pub const TIMEOUT: Self = Self(0x04);
    /// The server cannot serve at the moment: nobody to forward to, no port to listen on.
    pub const SERVICE_UNAVAILABLE: Self = Self(0x05);
    /// The target of a forwarding server does not answer.
    pub const HOST_UNREACHABLE: Self = Self(0x06);
    /// The requested target does not answer.
    pub const NETWORK_UNREACHABLE: Self = Self(0x07);
    /// The server failed.
    pub const INTERNAL_SERVER_ERROR: Self = Self(0x08);

    /// The status of a code.
    pub const fn from_u8(code: u8) -> Self {
        Self(code)
    }

    /// The code of the status.
    pub const fn as_u8(self) -> u8 {
        self.0
    }

    /// Whether the request is granted.
    pub const fn is_ok(self) -> bool {
        self.0 == Self::OK.0
    }

    /// The name of the code, as the original prints it.
    pub const fn text(self) -> &'static str {
        match self {
            Self::OK => "OK",
            Self::BAD_REQUEST => "Bad Request",
            Self::UNAUTHORIZED => "Unauthorized",
            Self::FORBIDDEN => "Forbidden",
            Self::TIMEOUT => "Timeout",
            Self::SERVICE_UNAVAILABLE => "Service Unavailable",
            Self::HOST_UNREACHABLE => "Host Unreachable",
            Self::NETWORK_UNREACHABLE => "Network Unreachable",
            Self::INTERNAL_SERVER_ERROR => "Internal Server Error",
            _ => "Unknown Status",
        }
    }
}

impl fmt::Display for Status {
    /// Code and text, such as `7 Network Unreachable`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.0, self.text())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_its_text() {
        let texts = [
            "0 OK",
            "1 Bad Request",
            "2 Unauthorized",
            "3 Forbidden",
            "4 Timeout",
            "5 Service Unavailable",
            "6 Host Unreachable",
            "7 Network Unreachable",
            "8 Internal Server Error",
            "9 Unknown Status",
        ];
        for (code, text) in (0u8..).zip(texts) {
            let status = Status::from_u8(code);
            assert_eq!(status.to_string(), text);
            assert_eq!(status.as_u8(), code);
            assert_eq!(status.is_ok(), code == 0);
        }
    }
}
