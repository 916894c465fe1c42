//! The listening side: a bounded number of connections, each asking line by line.

use super::{LINE_BYTES_MAX, Request, Response};
use crate::node::Control;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// Connections served at once; more are closed.
const CONNECTION_COUNT_MAX: usize = 16;

/// A connection that asks nothing for this long is closed.
const IDLE_MAX: Duration = Duration::from_secs(60);

/// How long the protocol thread may take for an answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// The admin endpoint cannot be offered.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {path}: {source}; choose a folder with a shorter path, or another owner")]
pub struct BindError {
    path: PathBuf,
    source: io::Error,
}

/// Offers the endpoint at `path`, in place of what an earlier process left there, and serves it
/// until the task is dropped. The folder's memory is locked, so that process is gone.
pub(crate) fn serve(
    path: &Path,
    control: Control,
) -> Result<impl Future<Output = ()> + use<>, BindError> {
    let failed = |source| BindError { path: path.to_owned(), source };
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let listener = UnixListener::bind(path).map_err(failed)?;
    // The folder is its owner's alone (0700), so nobody can connect before this.
    let private = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(path, private).map_err(failed)?;
    Ok(accept(listener, control))
}

async fn accept(listener: UnixListener, control: Control) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Some(_ended) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) if connections.len() < CONNECTION_COUNT_MAX => {
                    connections.spawn(converse(stream, control.clone()));
                }
                Ok(_one_too_many) => {}
                Err(error) => {
                    tracing::warn!(%error, "cannot accept connections to the admin endpoint");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }
}

async fn converse(stream: UnixStream, control: Control) {
    let (reader, mut writer) = stream.into_split();
    let mut reader = BufReader::new(reader);
    loop {
        let mut line = Vec::new();
        let mut limited = (&mut reader).take(LINE_BYTES_MAX);
        match timeout(IDLE_MAX, limited.read_until(b'\n', &mut line)).await {
            Ok(Ok(1..)) if line.ends_with(b"\n") => {}
            _ => return,
        }
        let response = match serde_json::from_slice::<Request>(&line) {
            Ok(request) => answer(&control, request).await,
            Err(error) => Response::Refused { reason: format!("not a request: {error}") },
        };
        let Ok(mut line) = serde_json::to_vec(&response) else { return };
        line.push(b'\n');
        if writer.write_all(&line).await.is_err() {
            return;
        }
    }
}

async fn answer(control: &Control, request: Request) -> Response {
    match timeout(ANSWER_TIMEOUT, control.ask(request)).await {
        Ok(Some(response)) => response,
        Ok(None) => Response::Refused { reason: "the replica is stopping".to_owned() },
        Err(_elapsed) => Response::Refused {
            reason: "the replica's protocol thread did not answer in time".to_owned(),
        },
    }
}
