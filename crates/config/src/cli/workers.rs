//! Several processes from one command line.

/// The groups of arguments between `--`, each for a process of its own; none when the command line
/// has no `--` with something on both sides.
///
/// Unlike the original, arguments reach the process as they are, two blanks in a row included. An
/// empty group (a `--` at the beginning or end, or two in a row) is an error.
///
/// # Errors
/// Says which group is empty.
///
/// ```
/// let args = ["-L", ":1", "--", "-L", ":2"].map(String::from);
/// let groups = gost_config::split_workers(&args).unwrap().unwrap();
/// assert_eq!(groups, [["-L", ":1"], ["-L", ":2"]]);
/// ```
pub fn split_workers(args: &[String]) -> Result<Option<Vec<Vec<String>>>, crate::FlagError> {
    let inner = 1..args.len().saturating_sub(1);
    if !args
        .get(inner)
        .is_some_and(|inner| inner.iter().any(|arg| arg == "--"))
    {
        return Ok(None);
    }
    let groups: Vec<Vec<String>> = args
        .split(|arg| arg == "--")
        .map(<[String]>::to_vec)
        .collect();
    match groups.iter().position(Vec::is_empty) {
        Some(0) => Err(crate::FlagError(
            "empty worker group before the first --".to_owned(),
        )),
        Some(at) => Err(crate::FlagError(format!("worker group {at} is empty"))),
        None => Ok(Some(groups)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(args: &[&str]) -> Result<Option<Vec<Vec<String>>>, crate::FlagError> {
        let args: Vec<_> = args.iter().map(|arg| (*arg).to_owned()).collect();
        split_workers(&args)
    }

    #[test]
    fn a_separator_needs_something_on_both_sides() {
        assert_eq!(split(&["-L", ":1"]), Ok(None));
        assert_eq!(split(&["--", "-L", ":1"]), Ok(None));
        assert_eq!(split(&["-L", ":1", "--"]), Ok(None));
        assert_eq!(split(&["--"]), Ok(None));
        assert_eq!(split(&[]), Ok(None));
        let groups = split(&["-V", "--", "-x", "a  b"])
            .expect("good")
            .expect("two");
        assert_eq!(groups, [vec!["-V"], vec!["-x", "a  b"]]);
        assert!(split(&["--", "-V", "--", "-V"]).is_err());
        assert!(split(&["-V", "--", "--", "-V"]).is_err());
    }
}
