//! Wildcards over names: `*`, `?`, `[a-c]`, `[!x]`, `{one,two}` and `\` before any of them.

/// How many patterns the braces of one may stand for.
const MOST_CHOICES: usize = 256;

/// They may stand within each other, and are read so.
const MOST_BRACES: usize = 64;

/// A wildcard. A star stands for any text, also with dots in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob(Box<[Box<[Token]>]>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Char(char),
    AnyChar,
    AnyText,
    OneOf {
        not: bool,
        ranges: Box<[(char, char)]>,
    },
}

impl Token {
    fn is(&self, c: char) -> bool {
        match self {
            Self::Char(own) => *own == c,
            Self::AnyChar => true,
            Self::AnyText => false,
            Self::OneOf { not, ranges } => {
                ranges
                    .iter()
                    .any(|(first, last)| (*first..=*last).contains(&c))
                    != *not
            }
        }
    }
}

impl Glob {
    /// Reads a wildcard; `None` when brackets or braces do not close, or when braces stand for
    /// more than 256 patterns or are more than 64.
    pub fn parse(text: &str) -> Option<Self> {
        if text.matches('{').count() > MOST_BRACES {
            return None;
        }
        let mut choices = vec![Vec::new()];
        let mut chars = text.chars();
        parse_into(&mut choices, &mut chars, false)?;
        Some(Self(
            choices.into_iter().map(Vec::into_boxed_slice).collect(),
        ))
    }

    /// True when all of the text fits.
    pub fn matches(&self, text: &str) -> bool {
        self.0.iter().any(|tokens| fits(tokens, text))
    }

    /// The literal end that all texts that fit have in common.
    pub(crate) fn literal_end(&self) -> String {
        let [tokens] = &*self.0 else {
            return String::new();
        };
        let literal = |token: &Token| match token {
            Token::Char(c) => Some(*c),
            _ => None,
        };
        let reversed: Vec<_> = tokens.iter().rev().map_while(literal).collect();
        reversed.into_iter().rev().collect()
    }
}

/// What a choice ends with.
#[derive(PartialEq, Eq)]
enum End {
    Text,
    Comma,
    Brace,
}

/// Reads on to the end, or inside braces to the comma or brace that ends a choice; says which.
fn parse_into(
    choices: &mut Vec<Vec<Token>>,
    chars: &mut std::str::Chars<'_>,
    inside: bool,
) -> Option<End> {
    while let Some(c) = chars.next() {
        let token = match c {
            ',' if inside => return Some(End::Comma),
            '}' if inside => return Some(End::Brace),
            '{' => {
                *choices = parse_choices(choices, chars)?;
                continue;
            }
            '*' => Token::AnyText,
            '?' => Token::AnyChar,
            '[' => parse_class(chars)?,
            '\\' => Token::Char(chars.next()?),
            c => Token::Char(c),
        };
        for choice in &mut *choices {
            // Two stars say no more than one.
            if token != Token::AnyText || choice.last() != Some(&Token::AnyText) {
                choice.push(token.clone());
            }
        }
    }
    (!inside).then_some(End::Text)
}

/// Every beginning with every choice of a pair of braces behind it.
fn parse_choices(
    beginnings: &[Vec<Token>],
    chars: &mut std::str::Chars<'_>,
) -> Option<Vec<Vec<Token>>> {
    let mut all = Vec::new();
    loop {
        let mut choice = beginnings.to_vec();
        let end = parse_into(&mut choice, chars, true)?;
        all.append(&mut choice);
        if all.len() > MOST_CHOICES {
            return None;
        }
        if end == End::Brace {
            return Some(all);
        }
    }
}

fn parse_class(chars: &mut std::str::Chars<'_>) -> Option<Token> {
    let mut ranges = Vec::new();
    let mut next = chars.next()?;
    let not = matches!(next, '!' | '^');
    if not {
        next = chars.next()?;
    }
    while next != ']' {
        let first = if next == '\\' { chars.next()? } else { next };
        next = chars.next()?;
        let mut last = first;
        if next == '-' {
            last = chars.next()?;
            if last == ']' {
                return None;
            }
            next = chars.next()?;
        }
        ranges.push((first, last));
    }
    (!ranges.is_empty()).then(|| Token::OneOf {
        not,
        ranges: ranges.into(),
    })
}

/// Walks both, and goes back only to the last star: never more than their lengths multiplied.
fn fits(tokens: &[Token], text: &str) -> bool {
    let (mut at, mut rest) = (0, text);
    // Where to go on when what follows the last star does not fit here.
    let mut star: Option<(usize, &str)> = None;
    loop {
        if tokens.get(at) == Some(&Token::AnyText) {
            at += 1;
            star = Some((at, rest));
            continue;
        }
        let mut chars = rest.chars();
        match (tokens.get(at), chars.next()) {
            (None, None) => return true,
            (Some(token), Some(c)) if token.is(c) => {
                at += 1;
                rest = chars.as_str();
                continue;
            }
            _ => {}
        }
        let Some((after, from)) = star else {
            return false;
        };
        let mut chars = from.chars();
        if chars.next().is_none() {
            return false;
        }
        (at, rest) = (after, chars.as_str());
        star = Some((after, rest));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_fits() {
        for (glob, fit, unfit) in [
            ("*", &["", "a", "a.b"][..], &[][..]),
            (
                "*.example.com",
                &["a.example.com", "a.b.example.com"],
                &["example.com", "xexample.com"],
            ),
            ("a?c", &["abc", "aäc"], &["ac", "abbc"]),
            ("ads[0-9].net", &["ads7.net"], &["ads.net", "adsx.net"]),
            ("[!a-c]x", &["dx"], &["ax", "x"]),
            ("[^a]", &["b"], &["a"]),
            (
                "{www,ftp}.a.{com,org}",
                &["www.a.com", "ftp.a.org"],
                &["a.com", "www.a.net"],
            ),
            ("a{,b{c,d}}e", &["ae", "abce", "abde"], &["abe"]),
            ("a**b*c", &["abc", "axxbyyc", "abbc"], &["ab", "acb"]),
            (r"a\*b", &["a*b"], &["axb"]),
        ] {
            let parsed = Glob::parse(glob).unwrap();
            for text in fit {
                assert!(parsed.matches(text), "{glob} {text}");
            }
            for text in unfit {
                assert!(!parsed.matches(text), "{glob} {text}");
            }
        }
        let many = "{a,b,c,d,e,f,g,h}".repeat(3);
        for bad in ["[", "[]", "[a", "[a-]", "{a", "{a,b", "\\", &many] {
            assert_eq!(Glob::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_hostile_pair_is_slow_but_not_endless() {
        let glob = Glob::parse(&"a*".repeat(100)).unwrap();
        assert!(!glob.matches(&"a".repeat(50)));
        let glob = Glob::parse(&("*a".repeat(50) + "b")).unwrap();
        assert!(!glob.matches(&"a".repeat(2000)));
    }

    proptest! {
        #[test]
        fn reads_anything(text in ".{0,40}", name in ".{0,40}") {
            if let Some(glob) = Glob::parse(&text) {
                glob.matches(&name);
                let end = glob.literal_end();
                if glob.matches(&name) {
                    prop_assert!(name.ends_with(&end));
                }
            }
        }

        #[test]
        fn text_without_wildcards_fits_itself_alone(text in "[a-z.]{0,10}", other in "[a-z.]{0,10}") {
            let glob = Glob::parse(&text).unwrap();
            prop_assert!(glob.matches(&text));
            prop_assert_eq!(glob.matches(&other), text == other);
        }
    }
}
