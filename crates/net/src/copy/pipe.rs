//! Moving bytes inside the kernel: `splice(2)` through pipes of the thread's pool.

use std::{
    cell::RefCell,
    io,
    os::fd::{AsFd, OwnedFd},
    task::{Context, Poll, ready},
};

use gost_core::stream::Socket;
use nix::{
    fcntl::{FcntlArg, OFlag, SpliceFFlags, fcntl, splice},
    unistd::pipe2,
};
use tokio::io::Interest;

/// What a pipe should hold: the most that a user other than root may ask for. What that gains is
/// in `docs/performance.md`.
const CAPACITY: i32 = 1024 * 1024;

/// Empty pipes kept by a thread.
const KEPT: usize = 16;

thread_local! {
    static POOL: RefCell<Vec<Ends>> = const { RefCell::new(Vec::new()) };
}

struct Ends {
    read: OwnedFd,
    write: OwnedFd,
}

impl Ends {
    fn open() -> io::Result<Self> {
        let (read, write) = pipe2(OFlag::O_NONBLOCK | OFlag::O_CLOEXEC)?;
        // Users other than root have a limit for all their pipes together: past it the default
        // size has to do.
        let _ = fcntl(write.as_fd(), FcntlArg::F_SETPIPE_SZ(CAPACITY));
        Ok(Self { read, write })
    }
}

/// A pipe on loan. It goes back to the pool only when it is empty: bytes of one connection must
/// never meet another.
pub(super) struct Pipe {
    ends: Option<Ends>,
    fill: usize,
}

impl Pipe {
    /// Borrows an empty pipe.
    pub(super) fn take() -> io::Result<Self> {
        let ends = POOL.with_borrow_mut(Vec::pop).map_or_else(Ends::open, Ok)?;
        Ok(Self {
            ends: Some(ends),
            fill: 0,
        })
    }

    /// Bytes that are in the pipe.
    pub(super) const fn fill(&self) -> usize {
        self.fill
    }

    /// Moves up to `most` bytes from the socket into the empty pipe; 0 is the end of the stream.
    ///
    /// Only an empty pipe is filled, so that `EAGAIN` can mean but one thing: the socket is dry.
    pub(super) fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        from: &Socket,
        most: usize,
    ) -> Poll<io::Result<usize>> {
        let Some(ends) = &self.ends else {
            return Poll::Ready(Ok(0));
        };
        loop {
            ready!(poll_ready(from, cx, Interest::READABLE))?;
            match try_io(from, Interest::READABLE, || {
                move_bytes(Borrowed(from), &ends.write, most.min(CAPACITY as usize))
            }) {
                Ok(n) => {
                    self.fill = n;
                    return Poll::Ready(Ok(n));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    /// Moves bytes from the pipe, which holds some, to the socket.
    pub(super) fn poll_drain(
        &mut self,
        cx: &mut Context<'_>,
        to: &Socket,
    ) -> Poll<io::Result<usize>> {
        let Some(ends) = &self.ends else {
            return Poll::Ready(Ok(0));
        };
        loop {
            ready!(poll_ready(to, cx, Interest::WRITABLE))?;
            match try_io(to, Interest::WRITABLE, || {
                move_bytes(&ends.read, Borrowed(to), self.fill)
            }) {
                Ok(n) => {
                    self.fill -= n;
                    return Poll::Ready(Ok(n));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        if self.fill > 0 {
            return;
        }
        if let Some(ends) = self.ends.take() {
            POOL.with_borrow_mut(|pool| {
                if pool.len() < KEPT {
                    pool.push(ends);
                }
            });
        }
    }
}

fn move_bytes(from: impl AsFd, to: impl AsFd, most: usize) -> io::Result<usize> {
    let flags = SpliceFFlags::SPLICE_F_MOVE | SpliceFFlags::SPLICE_F_NONBLOCK;
    Ok(splice(from, None, to, None, most, flags)?)
}

struct Borrowed<'a>(&'a Socket);

impl AsFd for Borrowed<'_> {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        match self.0 {
            Socket::Tcp(socket) => socket.as_fd(),
            Socket::Unix(socket) => socket.as_fd(),
        }
    }
}

fn poll_ready(socket: &Socket, cx: &mut Context<'_>, interest: Interest) -> Poll<io::Result<()>> {
    match (socket, interest.is_readable()) {
        (Socket::Tcp(s), true) => s.poll_read_ready(cx),
        (Socket::Tcp(s), false) => s.poll_write_ready(cx),
        (Socket::Unix(s), true) => s.poll_read_ready(cx),
        (Socket::Unix(s), false) => s.poll_write_ready(cx),
    }
}

/// Runs a system call; when it would block, the runtime forgets the readiness and waits anew.
fn try_io(
    socket: &Socket,
    interest: Interest,
    call: impl FnOnce() -> io::Result<usize>,
) -> io::Result<usize> {
    match socket {
        Socket::Tcp(s) => s.try_io(interest, call),
        Socket::Unix(s) => s.try_io(interest, call),
    }
}
