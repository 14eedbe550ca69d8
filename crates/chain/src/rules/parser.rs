//! Tokens as a tree.

use super::{
    RuleError,
    ast::{Call, Expr},
    lexer::{Token, tokens},
};

/// How deep parentheses and negations may nest: the tree is walked by recursion.
const DEPTH: usize = 100;

/// Reads a rule.
pub fn parse(text: &str) -> Result<Expr<Call>, RuleError> {
    let mut parser = Parser {
        tokens: tokens(text)?.into_iter().peekable(),
        end: text.len(),
    };
    let expr = parser.any(DEPTH)?;
    match parser.tokens.next() {
        None => Ok(expr),
        Some((at, _)) => Err(error("expected && or ||", at)),
    }
}

const fn error(what: &'static str, at: usize) -> RuleError {
    RuleError::Syntax { what, at }
}

struct Parser {
    tokens: std::iter::Peekable<std::vec::IntoIter<(usize, Token)>>,
    end: usize,
}

impl Parser {
    /// Takes the next token if it is this one.
    fn eat(&mut self, token: &Token) -> bool {
        self.tokens.next_if(|(_, next)| next == token).is_some()
    }

    /// Where the next token starts.
    fn at(&mut self) -> usize {
        self.tokens.peek().map_or(self.end, |(at, _)| *at)
    }

    /// `a || b || c`
    fn any(&mut self, depth: usize) -> Result<Expr<Call>, RuleError> {
        let mut parts = vec![self.all(depth)?];
        while self.eat(&Token::Or) {
            parts.push(self.all(depth)?);
        }
        Ok(one_or(parts, Expr::Any))
    }

    /// `a && b && c`
    fn all(&mut self, depth: usize) -> Result<Expr<Call>, RuleError> {
        let mut parts = vec![self.one(depth)?];
        while self.eat(&Token::And) {
            parts.push(self.one(depth)?);
        }
        Ok(one_or(parts, Expr::All))
    }

    /// `!a`, `(a)`, `F("x")`
    fn one(&mut self, depth: usize) -> Result<Expr<Call>, RuleError> {
        let at = self.at();
        let Some(deeper) = depth.checked_sub(1) else {
            return Err(error("nested too deep", at));
        };
        match self.tokens.next() {
            Some((_, Token::Not)) => Ok(Expr::Not(Box::new(self.one(deeper)?))),
            Some((_, Token::Open)) => {
                let inner = self.any(deeper)?;
                self.expect(&Token::Close, "expected )")?;
                Ok(inner)
            }
            Some((_, Token::Name(name))) => {
                let args = self.args(at)?;
                Ok(Expr::Leaf(Call { name, args }))
            }
            _ => Err(error("expected a function, ! or (", at)),
        }
    }

    fn args(&mut self, call: usize) -> Result<Vec<String>, RuleError> {
        self.expect(&Token::Open, "expected ( after the function")?;
        let mut args = Vec::new();
        while !self.eat(&Token::Close) {
            let at = self.at();
            match self.tokens.next() {
                Some((_, Token::Text(text))) if text.is_empty() => {
                    return Err(error("an empty argument", at));
                }
                Some((_, Token::Text(text))) => args.push(text),
                _ => return Err(error("expected text in quotes", at)),
            }
            if !self.eat(&Token::Comma) {
                self.expect(&Token::Close, "expected , or )")?;
                break;
            }
        }
        if args.is_empty() {
            return Err(error("a function without arguments", call));
        }
        Ok(args)
    }

    fn expect(&mut self, token: &Token, what: &'static str) -> Result<(), RuleError> {
        let at = self.at();
        if self.eat(token) {
            Ok(())
        } else {
            Err(error(what, at))
        }
    }
}

/// The only part, or all of them together.
fn one_or(
    mut parts: Vec<Expr<Call>>,
    all: impl FnOnce(Vec<Expr<Call>>) -> Expr<Call>,
) -> Expr<Call> {
    if parts.len() > 1 {
        return all(parts);
    }
    // Every caller starts with one part.
    parts.swap_remove(0)
}
