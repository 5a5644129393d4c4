//! What the operating system does for us: sockets that carry descriptors, sessions, signals.

mod channel;
mod rights;
mod system;

pub(crate) use channel::{AsyncReceiver, AsyncSender, Channel, async_channel};
pub(crate) use rights::DESCRIPTORS_MAX;
pub(crate) use system::{
    end_when_closed, end_with_parent, enter_own_session, exit_now, ignore_interrupts,
    inherited_socket, kill_with_group, limit_data, page_bytes, print_to, reap, release_free_pages,
    wait_readable,
};
