//! What a node answers, and what that means.

use std::{fmt, io, sync::Arc};

use bytes::{Bytes, BytesMut};
use gost_core::{
    addr::Target,
    error::{Error, Phase, Result, Side, Why},
};
use gost_relay::{DecodeError, Response, Status};
use tokio::io::{AsyncRead, AsyncReadExt};

/// A question to a node that it has yet to answer.
pub(crate) struct Question {
    node: Arc<str>,
    verb: &'static str,
    target: Target,
    phase: Phase,
    /// The part of the answer that has come.
    got: BytesMut,
}

impl Question {
    /// A question for a target; `verb` says in messages what was asked.
    pub(crate) fn new(node: &Arc<str>, verb: &'static str, target: &Target, phase: Phase) -> Self {
        Self {
            node: node.clone(),
            verb,
            target: target.clone(),
            phase,
            got: BytesMut::new(),
        }
    }

    /// True while not a byte of the answer has come.
    pub(crate) fn is_silent(&self) -> bool {
        self.got.is_empty()
    }

    /// Takes more bytes. Once the answer is whole it says how many of them belonged to it; a
    /// refusal is an error.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Result<Option<usize>> {
        let before = self.got.len();
        let parsed = if before == 0 {
            Response::parse(bytes)
        } else {
            self.got.extend_from_slice(bytes);
            Response::parse(&self.got)
        };
        match parsed.map_err(|e| self.garbage(e))? {
            None => {
                if before == 0 {
                    self.got.extend_from_slice(bytes);
                }
                Ok(None)
            }
            Some((response, len)) => {
                self.got.clear();
                self.granted(&response)?;
                Ok(Some(len - before))
            }
        }
    }

    /// Waits for the answer and gives it with what was read behind it. Cancel safe.
    pub(crate) async fn read(
        &mut self,
        from: &mut (impl AsyncRead + Unpin + ?Sized),
    ) -> Result<(Response, Bytes)> {
        loop {
            if let Some(response) = Response::decode(&mut self.got).map_err(|e| self.garbage(e))? {
                self.granted(&response)?;
                return Ok((response, self.got.split().freeze()));
            }
            self.got.reserve(64);
            match from.read_buf(&mut self.got).await {
                Ok(0) => return Err(self.closed()),
                Ok(_) => {}
                Err(e) => return Err(self.broken(e)),
            }
        }
    }

    fn granted(&self, response: &Response) -> Result<()> {
        if response.status().is_ok() {
            Ok(())
        } else {
            Err(self.refused(response.status()))
        }
    }

    /// The node has ended the conversation.
    pub(crate) fn closed(&self) -> Error {
        self.failed(
            Why::Closed,
            Side::Node,
            &"the node closed without an answer",
        )
    }

    /// The node has not answered in time.
    pub(crate) fn late(&self) -> Error {
        self.failed(Why::TimedOut, Side::Node, &"no answer in time")
    }

    /// The connection to the node has failed.
    pub(crate) fn broken(&self, error: io::Error) -> Error {
        let error = Error::from(error);
        // An error of ours, from a wrapper below, knows better whose fault it was.
        if error.at_side() == Side::Us {
            error.context(self).phase(self.phase).at_node(&self.node)
        } else {
            error
        }
    }

    fn garbage(&self, error: DecodeError) -> Error {
        self.failed(Why::BadInput, Side::Node, &"not a relay answer")
            .caused_by(error)
    }

    fn refused(&self, status: Status) -> Error {
        let (why, side) = match status {
            Status::BAD_REQUEST => (Why::Unsupported, Side::Node),
            Status::UNAUTHORIZED => (Why::Auth, Side::Node),
            Status::FORBIDDEN => (Why::Denied, Side::Target),
            Status::TIMEOUT => (Why::TimedOut, Side::Target),
            Status::SERVICE_UNAVAILABLE => (Why::NoRoute, Side::Node),
            Status::HOST_UNREACHABLE | Status::NETWORK_UNREACHABLE => {
                (Why::Unreachable, Side::Target)
            }
            _ => (Why::Other, Side::Node),
        };
        self.failed(why, side, &status)
    }

    fn failed(&self, why: Why, side: Side, what: &dyn fmt::Display) -> Error {
        // Naming the node makes it the one at fault; an answer may be about the target.
        Error::new(why, format!("{self}: {what}"))
            .phase(self.phase)
            .at_node(&self.node)
            .side(side)
    }
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "relay node {}: {} {}", self.node, self.verb, self.target)
    }
}

#[cfg(test)]
mod tests {
    use gost_core::addr::Addr;

    use super::*;

    fn question() -> Question {
        let target = Target::tcp(Addr::parse("example.com:443").unwrap());
        Question::new(&"n1".into(), "connect", &target, Phase::Dial)
    }

    #[test]
    fn every_status_has_a_reason_and_a_side() {
        for (status, why, side) in [
            (1, Why::Unsupported, Side::Node),
            (2, Why::Auth, Side::Node),
            (3, Why::Denied, Side::Target),
            (4, Why::TimedOut, Side::Target),
            (5, Why::NoRoute, Side::Node),
            (6, Why::Unreachable, Side::Target),
            (7, Why::Unreachable, Side::Target),
            (8, Why::Other, Side::Node),
            (200, Why::Other, Side::Node),
        ] {
            let error = question().feed(&[1, status, 0, 0]).unwrap_err();
            assert_eq!((error.why(), error.at_side()), (why, side), "{status}");
            assert_eq!(error.node().map(|node| &**node), Some("n1"));
        }
        let error = question().feed(&[1, 7, 0, 0]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "relay node n1: connect example.com:443/tcp: 7 Network Unreachable"
        );
    }

    #[test]
    fn an_answer_in_pieces_leaves_the_payload() {
        let answer = Response::ok()
            .with_address("127.0.0.1:80".parse::<gost_relay::Address>().unwrap())
            .to_vec()
            .unwrap();
        for cut in 0..answer.len() {
            let mut question = question();
            if cut > 0 {
                assert_eq!(question.feed(&answer[..cut]).unwrap(), None);
                assert!(!question.is_silent());
            }
            let mut rest = answer[cut..].to_vec();
            rest.extend_from_slice(b"payload");
            assert_eq!(question.feed(&rest).unwrap(), Some(answer.len() - cut));
        }
    }

    #[test]
    fn garbage_is_the_nodes_fault() {
        let error = question().feed(b"HTTP/1.1 400 Bad Request").unwrap_err();
        assert_eq!((error.why(), error.at_side()), (Why::BadInput, Side::Node));
    }
}
