//! Batch engines that wait for somebody else: they hand out an address, set their task to `paused` and exit. When the address was called they are
//! started once more, with what was sent to it (engine contract §2).

use std::sync::Arc;

use model::{
    network::NetworkRecord,
    run::{Exit, LogLine, RunRecord},
};

use crate::desk::{Desk, Task};

/// What an engine is to be woken up with: it exited well, paused its task, and its address was called.
pub(crate) fn wanted(desk: &Desk, task: Option<&Arc<Task>>, record: &RunRecord) -> Option<(Arc<Task>, String)> {
    let task = task.filter(|task| record.exit == Exit::Exited { code: 0 } && desk.status_of(task).status == "paused")?;
    Some((Arc::clone(task), desk.callback_of(task)?))
}

/// Two runs of one engine as one: the end is that of the second, everything that counts is of both.
pub(crate) fn joined(first: RunRecord, second: RunRecord) -> RunRecord {
    let later = first.wall_ms;
    let (mut log, mut limits_hit, mut not_recorded) = (first.log, first.limits_hit, first.not_recorded);
    log.extend(second.log.into_iter().map(|line| LogLine { at_ms: line.at_ms.saturating_add(later), ..line }));
    limits_hit
        .extend(second.limits_hit.into_iter().filter(|hit| !limits_hit.iter().any(|known| known.limit == hit.limit)).collect::<Vec<_>>());
    not_recorded.extend(second.not_recorded.into_iter().filter(|line| !not_recorded.contains(line)).collect::<Vec<_>>());
    let mut files_written = second.files_written;
    files_written.count += first.files_written.count;
    files_written.bytes += first.files_written.bytes;
    files_written.more_below |= first.files_written.more_below;
    files_written.first = first.files_written.first.into_iter().chain(files_written.first).take(model::run::FilesWritten::LISTED).collect();
    RunRecord {
        exit: second.exit,
        wall_ms: first.wall_ms + second.wall_ms,
        cpu_ms: first.cpu_ms + second.cpu_ms,
        cpu_user_ms: first.cpu_user_ms + second.cpu_user_ms,
        cpu_system_ms: first.cpu_system_ms + second.cpu_system_ms,
        peak_memory_bytes: first.peak_memory_bytes.max(second.peak_memory_bytes),
        peak_pids: first.peak_pids.max(second.peak_pids),
        transferred: first.transferred.zip(second.transferred).map(|(a, b)| model::run::Transferred {
            read_bytes: a.read_bytes + b.read_bytes,
            written_bytes: a.written_bytes + b.written_bytes,
        }),
        files_written,
        log,
        log_truncated: first.log_truncated || second.log_truncated,
        limits_hit,
        denied: both(first.denied, second.denied, |first, mut second| {
            second.iter_mut().for_each(|call| call.at_ms = call.at_ms.saturating_add(later));
            first.into_iter().chain(second).collect()
        }),
        deaf_to_sigterm: first.deaf_to_sigterm || second.deaf_to_sigterm,
        network: both(first.network, second.network, |first, mut second| {
            for event in &mut second.events {
                event.at_ms = event.at_ms.saturating_add(later);
                event.last_ms = event.last_ms.saturating_add(later);
            }
            NetworkRecord { events: first.events.into_iter().chain(second.events).collect(), dropped: first.dropped + second.dropped }
        }),
        not_recorded,
    }
}

/// What both runs recorded; nothing, if one of them could not.
fn both<T>(first: Option<T>, second: Option<T>, join: impl FnOnce(T, T) -> T) -> Option<T> {
    first.zip(second).map(|(first, second)| join(first, second))
}
