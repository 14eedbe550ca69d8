//! A rule as tokens.

use super::RuleError;

/// A token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// A name.
    Name(String),
    /// A string literal, with its escapes undone.
    Text(String),
    Open,
    Close,
    Comma,
    And,
    Or,
    Not,
}

/// The tokens of a text, each with the byte it starts at.
pub(super) fn tokens(text: &str) -> Result<Vec<(usize, Token)>, RuleError> {
    let mut lexer = Lexer { text, at: 0 };
    let mut tokens = Vec::new();
    loop {
        lexer.skip_blank()?;
        let start = lexer.at;
        match lexer.token()? {
            Some(token) => tokens.push((start, token)),
            None => return Ok(tokens),
        }
    }
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

const fn error(what: &'static str, at: usize) -> RuleError {
    RuleError::Syntax { what, at }
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn next(&mut self) -> Option<char> {
        let c = self.rest().chars().next()?;
        self.at += c.len_utf8();
        Some(c)
    }

    fn skip_blank(&mut self) -> Result<(), RuleError> {
        loop {
            let rest = self.rest();
            let blank = rest.len() - rest.trim_start().len();
            let skip = if blank > 0 {
                blank
            } else if rest.starts_with("//") {
                rest.find('\n').unwrap_or(rest.len())
            } else if rest.starts_with("/*") {
                let end = rest.find("*/");
                end.ok_or_else(|| error("a comment without an end", self.at))? + 2
            } else {
                return Ok(());
            };
            self.at += skip;
        }
    }

    fn token(&mut self) -> Result<Option<Token>, RuleError> {
        let start = self.at;
        let Some(first) = self.next() else {
            return Ok(None);
        };
        Ok(Some(match first {
            '(' => Token::Open,
            ')' => Token::Close,
            ',' => Token::Comma,
            '!' => Token::Not,
            '&' | '|' if self.rest().starts_with(first) => {
                self.at += 1;
                if first == '&' { Token::And } else { Token::Or }
            }
            '`' => self.raw(start)?,
            '"' => self.quoted(start)?,
            c if c.is_alphabetic() || c == '_' => {
                let rest = &self.text[start..];
                let end = rest
                    .find(|c: char| !(c.is_alphanumeric() || c == '_'))
                    .unwrap_or(rest.len());
                self.at = start + end;
                Token::Name(rest[..end].to_owned())
            }
            _ => return Err(error("an unexpected character", start)),
        }))
    }

    /// A back-quoted literal: everything up to the next back quote; carriage returns don't count.
    fn raw(&mut self, start: usize) -> Result<Token, RuleError> {
        let rest = self.rest();
        let end = rest
            .find('`')
            .ok_or_else(|| error("a literal without an end", start))?;
        self.at += end + 1;
        Ok(Token::Text(rest[..end].replace('\r', "")))
    }

    /// A quoted literal with Go's escapes. Go's strings are bytes, ours are text: an escape that
    /// gives a lone byte above 127 is refused.
    fn quoted(&mut self, start: usize) -> Result<Token, RuleError> {
        let mut text = String::new();
        loop {
            let at = self.at;
            match self.next() {
                None | Some('\n') => return Err(error("a literal without an end", start)),
                Some('"') => return Ok(Token::Text(text)),
                Some('\\') => text.push(self.escape(at)?),
                Some(c) => text.push(c),
            }
        }
    }

    /// What stands for a character after a backslash that is at `at`.
    fn escape(&mut self, at: usize) -> Result<char, RuleError> {
        let bad = || error("an unknown escape", at);
        Ok(match self.next().ok_or_else(bad)? {
            'a' => '\x07',
            'b' => '\x08',
            'f' => '\x0c',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\x0b',
            '\\' => '\\',
            '"' => '"',
            'x' => self.ascii(16, 2, at)?,
            'u' => self
                .digits(16, 4)
                .and_then(char::from_u32)
                .ok_or_else(bad)?,
            'U' => self
                .digits(16, 8)
                .and_then(char::from_u32)
                .ok_or_else(bad)?,
            '0'..='7' => {
                self.at -= 1;
                self.ascii(8, 3, at)?
            }
            _ => return Err(bad()),
        })
    }

    fn ascii(&mut self, radix: u32, count: usize, at: usize) -> Result<char, RuleError> {
        self.digits(radix, count)
            .and_then(char::from_u32)
            .filter(char::is_ascii)
            .ok_or_else(|| error("an escape that is no character", at))
    }

    fn digits(&mut self, radix: u32, count: usize) -> Option<u32> {
        let digits = self.rest().get(..count)?;
        // A sign would be read too.
        if !digits.chars().all(|c| c.is_digit(radix)) {
            return None;
        }
        self.at += count;
        u32::from_str_radix(digits, radix).ok()
    }
}
