//! The nearest known name to a misspelt one.

/// The nearest of `names` to `word` without regard to case; `None` when nothing is near.
///
/// ```
/// assert_eq!(gost_config::nearest("adress", ["name", "addr", "handler"]), Some("addr"));
/// assert_eq!(gost_config::nearest("zzz", ["name", "addr"]), None);
/// ```
pub fn nearest<'a>(word: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = squeezed(word);
    // A hostile key must not cost more than a glance.
    if word.len() > 64 {
        return None;
    }
    names
        .into_iter()
        .filter_map(|name| {
            let lower = squeezed(name);
            let (short, long) = if word.len() < lower.len() {
                (&word, &lower)
            } else {
                (&lower, &word)
            };
            // Someone who writes "address" for "addr" shares the beginning, not the length.
            let distance = if short.len() >= 3 && long.starts_with(short.as_str()) {
                1
            } else {
                distance(&word, &lower)
            };
            // A third of the letters may be wrong, and one has to be right.
            let allowed = 1.max(long.len() / 3);
            let is_near = distance <= allowed && (distance == 0 || distance < short.len());
            is_near.then_some((distance, name))
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// In lower case, doubled letters once.
fn squeezed(word: &str) -> String {
    let mut last = None;
    let lower = word.chars().flat_map(char::to_lowercase);
    lower.filter(|c| last.replace(*c) != Some(*c)).collect()
}

/// `; did you mean NAME?`, or nothing.
pub(crate) fn did_you_mean<'a>(word: &str, names: impl IntoIterator<Item = &'a str>) -> String {
    nearest(word, names).map_or_else(String::new, |name| format!("; did you mean {name}?"))
}

/// True when the words are one slip of a finger apart.
pub(crate) fn is_slip(word: &str, name: &str) -> bool {
    word.len() <= 64 && distance(&word.to_lowercase(), &name.to_lowercase()) == 1
}

/// Edit distance with transpositions of neighbours counted as one.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let cost = usize::from(a[i - 1] != b[j - 1]);
            let mut best = (last[j] + 1).min(row[j - 1] + 1).min(last[j - 1] + cost);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(before_last[j - 2] + 1);
            }
            row.push(best);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_found_and_far_ones_are_not() {
        let names = ["services", "addr", "http", "tcp", "limiter.in"];
        for (word, near) in [
            ("service", Some("services")),
            ("address", Some("addr")),
            ("htp", Some("http")),
            ("tpc", Some("tcp")),
            ("limitter.in", Some("limiter.in")),
            ("HTTP", Some("http")),
            ("foo", None),
            ("a", None),
            ("adapt", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, names), near, "{word}");
        }
    }
}
