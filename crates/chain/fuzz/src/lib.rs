//! What must hold for every input, shared by the fuzz targets and the tests.

use std::sync::Arc;

use gost_chain::{
    matcher::Matcher,
    rules::{Call, Expr, parse},
};
use gost_core::{
    policy::Answer,
    routing::{HttpFacts, Request},
};

/// Any text: no panic, and what is a rule is the same rule when it is written out.
pub fn any_text(text: &str) {
    if let Ok(rule) = parse(text) {
        // Written out, a rule may nest one level deeper, and there is a limit.
        if text.matches(['(', '!']).count() < 90 {
            any_rule(&rule);
        }
    }
    any_matcher(text, text.as_bytes());
}

/// A tree that is written out is read as the same tree.
pub fn any_rule(rule: &Expr<Call>) {
    let text = rule.to_string();
    assert_eq!(parse(&text).as_ref(), Ok(rule), "{text}");
}

/// Any rule about any body, as a rule, as a path into JSON and as a pattern: no panic, and no
/// waiting when no policy is asked.
pub fn any_matcher(text: &str, body: &[u8]) {
    let request = Request {
        http: Some(Arc::new(HttpFacts {
            path: text.to_owned(),
            body: body.to_vec().into(),
            ..HttpFacts::default()
        })),
        ..Request::default()
    };
    let call = |name: &str, args: &[&str]| {
        Expr::Leaf(Call {
            name: name.to_owned(),
            args: args.iter().map(|arg| (*arg).to_owned()).collect(),
        })
        .to_string()
    };
    for rule in [
        text.to_owned(),
        call("BodyJSON", &[text, "."]),
        call("BodyJSON", &[text, "ge", "1"]),
        call("Host", &[text]),
        call("ClientIP", &[text]),
        call("Header", &[text, "eq", text]),
    ] {
        if let Ok(matcher) = rule.parse::<Matcher>() {
            assert!(matches!(matcher.matches(&request), Answer::Now(_)));
        }
    }
}

/// Turns the truth of a tree inside out, as a negation in front does.
pub fn any_negation(rule: &Expr<u8>, truths: &[bool]) {
    let mut truth = |leaf: &u8| truths.get(usize::from(*leaf)).copied().unwrap_or(false);
    let value = rule.is_true(&mut truth);
    assert_ne!(Expr::Not(Box::new(rule.clone())).is_true(&mut truth), value);
    assert_eq!(de_morgan(rule).is_true(&mut |leaf| !truth(leaf)), !value);
}

/// The same tree with "all" and "any" exchanged.
fn de_morgan(rule: &Expr<u8>) -> Expr<u8> {
    let each = |parts: &[Expr<u8>]| parts.iter().map(de_morgan).collect();
    match rule {
        Expr::Leaf(leaf) => Expr::Leaf(*leaf),
        Expr::Not(inner) => Expr::Not(Box::new(de_morgan(inner))),
        Expr::All(parts) => Expr::Any(each(parts)),
        Expr::Any(parts) => Expr::All(each(parts)),
    }
}
