//! Listening on Unix sockets.

use std::{
    fmt,
    fs::Permissions,
    io,
    os::{
        fd::AsFd,
        unix::fs::{FileTypeExt, PermissionsExt},
    },
    sync::Arc,
};

use gost_core::{
    addr::Addr,
    build::Door,
    conn::{Conn, Io, Meta},
    error::{Error, Phase, Result},
    listener::{Incoming, Listener},
    meter::Meter,
};
use tokio::net::UnixListener;

use super::incoming;
use crate::Metered;

/// A socket that listens, perhaps for several listeners while one takes the place of another. Its
/// file goes when it does.
struct Held {
    listener: UnixListener,
    path: String,
}

impl Drop for Held {
    fn drop(&mut self) {
        // Somebody may have removed it already.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Listens on a Unix socket at a path, with a file mode if one is given. Takes over the socket if
/// another listener of the program has it open.
///
/// A socket file that nobody listens on any more is replaced; one that somebody does listen on,
/// and any other file, is an error.
pub fn unix(path: &str, mode: Option<u32>, door: &Door) -> Result<Box<dyn Listener>> {
    let failed = |e: io::Error| {
        Error::from(e)
            .context(format!("listen on {path}"))
            .phase(Phase::Bind)
    };
    let held = if let Some(held) = door.held.get::<Held>(path) {
        held
    } else {
        let listener = match UnixListener::bind(path) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && is_stale(path) => {
                std::fs::remove_file(path).and_then(|()| UnixListener::bind(path))
            }
            result => result,
        }
        .map_err(failed)?;
        let path = path.to_owned();
        let held = Arc::new(Held { listener, path });
        door.held.hold(&held.path, &held);
        held
    };
    if let Some(mode) = mode {
        std::fs::set_permissions(path, Permissions::from_mode(mode)).map_err(failed)?;
    }
    Ok(Box::new(UnixDoor {
        held,
        shared: None,
        local: Addr::path(path),
        meter: door.meter.clone(),
        proxy_protocol: door.proxy_protocol,
    }))
}

/// True for a socket that refuses connections. Other files refuse them too, and are none of ours.
fn is_stale(path: &str) -> bool {
    std::fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket())
        && std::os::unix::net::UnixStream::connect(path)
            .is_err_and(|e| e.kind() == io::ErrorKind::ConnectionRefused)
}

/// A listening Unix socket.
pub struct UnixDoor {
    held: Arc<Held>,
    /// The same socket, known to the runtime of another thread.
    shared: Option<UnixListener>,
    local: Addr,
    meter: Meter,
    proxy_protocol: bool,
}

#[async_trait::async_trait]
impl Listener for UnixDoor {
    async fn accept(&mut self) -> Result<Incoming> {
        let listener = self.shared.as_ref().unwrap_or(&self.held.listener);
        let (socket, _) = listener.accept().await?;
        let stream = Metered::wrap(Box::new(socket), &self.meter);
        let meta = Box::new(Meta::new(self.local.clone(), Addr::Any));
        let conn = Conn {
            io: Io::Stream(stream),
            meta,
        };
        Ok(incoming(Addr::Any, conn, self.proxy_protocol))
    }

    fn addr(&self) -> Addr {
        self.local.clone()
    }

    fn share(&self) -> Option<Box<dyn Listener>> {
        let socket = self.held.listener.as_fd().try_clone_to_owned().ok()?;
        Some(Box::new(Self {
            held: self.held.clone(),
            shared: Some(UnixListener::from_std(socket.into()).ok()?),
            local: self.local.clone(),
            meter: self.meter.clone(),
            proxy_protocol: self.proxy_protocol,
        }))
    }
}

impl fmt::Debug for UnixDoor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UnixDoor({})", self.local)
    }
}
