//! The one error type that crosses the seams between crates.

use std::{error::Error as StdError, fmt, io, sync::Arc};

/// The result of anything that crosses a seam.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why something failed; a handler maps it to the reply code of its protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Why {
    /// A rule forbids it.
    Denied,
    /// The credentials were wrong or missing.
    Auth,
    /// A limit was reached.
    Limited,
    /// The other side refused the connection.
    Refused,
    /// There is no way to the host or network.
    Unreachable,
    /// The name has no address.
    Unresolved,
    /// It took too long.
    TimedOut,
    /// The connection was cut.
    Reset,
    /// The other side ended the conversation in the middle of something.
    Closed,
    /// What arrived does not follow the protocol.
    BadInput,
    /// The other side, or we, do not do this.
    Unsupported,
    /// What was asked for is occupied: an address in use.
    InUse,
    /// No node, hop or chain is there to take it.
    NoRoute,
    /// Something else; see the text.
    Other,
}

/// Whose fault it was; decides which node is marked and what is retried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// The one who connected to us.
    Client,
    /// A node of the chain: silence, a reset, a failed login.
    Node,
    /// The target: a node's answer that it refused is about the target too.
    Target,
    /// This program or this machine.
    Us,
}

/// When it happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Turning a name into addresses.
    Resolve,
    /// Choosing a route.
    Route,
    /// Reaching a node or a target.
    Dial,
    /// Agreeing with a peer on how to talk.
    Handshake,
    /// Reading or answering a request.
    Request,
    /// Opening a listening socket, here or at a node.
    Bind,
    /// Moving bytes.
    Relay,
}

/// What failed, why, and whose fault it was.
///
/// One pointer wide and cheap to clone. It travels through `poll_read` and `poll_write` inside an
/// [`io::Error`]; [`Error::from`] takes it out again.
#[derive(Clone)]
pub struct Error(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    why: Why,
    side: Side,
    phase: Phase,
    what: String,
    node: Option<Arc<str>>,
    route: Option<Arc<str>>,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error of ours while handling a request; refine it with the methods below.
    ///
    /// `what` says what was attempted on what: `dial 10.0.0.1:80`.
    pub fn new(why: Why, what: impl Into<String>) -> Self {
        Self(Arc::new(Inner {
            why,
            side: Side::Us,
            phase: Phase::Request,
            what: what.into(),
            node: None,
            route: None,
            source: None,
        }))
    }

    /// What a peer sent does not follow the protocol.
    pub fn bad_input(what: impl Into<String>) -> Self {
        Self::new(Why::BadInput, what).side(Side::Client)
    }

    fn edit(mut self, edit: impl FnOnce(&mut Inner)) -> Self {
        edit(Arc::make_mut(&mut self.0));
        self
    }

    /// Sets whose fault it was.
    #[must_use]
    pub fn side(self, side: Side) -> Self {
        self.edit(|e| e.side = side)
    }

    /// Sets when it happened.
    #[must_use]
    pub fn phase(self, phase: Phase) -> Self {
        self.edit(|e| e.phase = phase)
    }

    /// Sets the reason.
    #[must_use]
    pub fn why_set(self, why: Why) -> Self {
        self.edit(|e| e.why = why)
    }

    /// Names the node at fault, unless one is named already: hop 3 is never charged for hop 2.
    #[must_use]
    pub fn at_node(self, node: &Arc<str>) -> Self {
        self.edit(|e| {
            e.side = Side::Node;
            e.node.get_or_insert_with(|| node.clone());
        })
    }

    /// Says which way was tried, in the words of [`Record::route`](crate::session::Record::route),
    /// unless that is known.
    #[must_use]
    pub fn along(self, route: impl FnOnce() -> String) -> Self {
        self.edit(|e| {
            e.route.get_or_insert_with(|| route().into());
        })
    }

    /// Puts what was attempted in front of the text: `dial node n1: ` and so on.
    #[must_use]
    pub fn context(self, what: impl fmt::Display) -> Self {
        self.edit(|e| {
            e.what = if e.what.is_empty() {
                what.to_string()
            } else {
                format!("{what}: {}", e.what)
            };
        })
    }

    /// The same failure in other words, which take the place of the text and of the error below.
    #[must_use]
    pub fn reworded(self, text: impl Into<String>) -> Self {
        self.edit(|e| {
            e.what = text.into();
            e.source = None;
        })
    }

    /// Sets the error below.
    #[must_use]
    pub fn caused_by(self, source: impl StdError + Send + Sync + 'static) -> Self {
        self.edit(|e| e.source = Some(Arc::new(source)))
    }

    /// Why it failed.
    pub fn why(&self) -> Why {
        self.0.why
    }

    /// Whose fault it was.
    pub fn at_side(&self) -> Side {
        self.0.side
    }

    /// When it happened.
    pub fn at_phase(&self) -> Phase {
        self.0.phase
    }

    /// The name of the node at fault, when one was named.
    pub fn node(&self) -> Option<&Arc<str>> {
        self.0.node.as_ref()
    }

    /// The way that was tried, where one was chosen.
    pub fn route(&self) -> Option<&Arc<str>> {
        self.0.route.as_ref()
    }

    /// True for an end that needs no attention: the client went away.
    pub fn is_quiet(&self) -> bool {
        self.0.side == Side::Client && matches!(self.0.why, Why::Closed | Why::Reset)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.what)?;
        match &self.0.source {
            Some(source) if self.0.what.is_empty() => source.fmt(f),
            Some(source) => write!(f, ": {source}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{self} ({:?}, {:?}, {:?})",
            self.0.why, self.0.side, self.0.phase
        )
    }
}

impl StdError for Error {
    // Display shows the whole chain, so that one line of a log says it all; nothing is left to walk.
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        let why = why_of(&error);
        match error.downcast::<Self>() {
            Ok(ours) => ours,
            Err(error) => Self::new(why, "").caused_by(error),
        }
    }
}

/// The reason that an error of the system stands for.
fn why_of(error: &io::Error) -> Why {
    use io::ErrorKind as Kind;
    match error.kind() {
        Kind::ConnectionRefused => Why::Refused,
        Kind::ConnectionReset | Kind::ConnectionAborted | Kind::BrokenPipe => Why::Reset,
        Kind::UnexpectedEof | Kind::NotConnected => Why::Closed,
        Kind::TimedOut => Why::TimedOut,
        Kind::AddrInUse => Why::InUse,
        Kind::HostUnreachable
        | Kind::NetworkUnreachable
        | Kind::NetworkDown
        | Kind::AddrNotAvailable
        // A way that the machine's own rules forbid; `Denied` is for rules of ours.
        | Kind::PermissionDenied => Why::Unreachable,
        Kind::InvalidData | Kind::InvalidInput => Why::BadInput,
        Kind::Unsupported => Why::Unsupported,
        _ => Why::Other,
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        use io::ErrorKind as Kind;
        let kind = match error.why() {
            Why::Refused => Kind::ConnectionRefused,
            Why::Reset => Kind::ConnectionReset,
            Why::Closed => Kind::UnexpectedEof,
            Why::TimedOut => Kind::TimedOut,
            Why::InUse => Kind::AddrInUse,
            Why::Unreachable | Why::NoRoute => Kind::HostUnreachable,
            Why::BadInput => Kind::InvalidData,
            Why::Denied | Why::Auth => Kind::PermissionDenied,
            Why::Unsupported => Kind::Unsupported,
            Why::Unresolved | Why::Limited | Why::Other => Kind::Other,
        };
        Self::new(kind, error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn travels_through_io_errors_whole() {
        let node: Arc<str> = "n1".into();
        let error = Error::new(Why::Refused, "dial 10.0.0.1:80")
            .phase(Phase::Dial)
            .at_node(&node);
        let back = Error::from(io::Error::from(error));
        assert_eq!(
            (back.why(), back.at_side(), back.at_phase()),
            (Why::Refused, Side::Node, Phase::Dial)
        );
        assert_eq!(back.node().map(|n| &**n), Some("n1"));
    }

    #[test]
    fn a_named_node_stays_named() {
        let error = Error::new(Why::TimedOut, "x")
            .at_node(&"n2".into())
            .at_node(&"n3".into());
        assert_eq!(error.node().map(|n| &**n), Some("n2"));
    }

    #[test]
    fn the_text_holds_attempt_and_cause() {
        let error = Error::from(io::Error::from(io::ErrorKind::ConnectionRefused))
            .context("dial 10.0.0.1:80")
            .context("node n1");
        assert_eq!(
            error.to_string(),
            "node n1: dial 10.0.0.1:80: connection refused"
        );
        assert_eq!(error.why(), Why::Refused);
        assert_eq!(size_of::<Error>(), size_of::<usize>());
    }
}
