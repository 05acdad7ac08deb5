//! What tasks write.

use super::*;
use crate::process::OutputTail;

/// The task's end of its pipe.
fn attach(rig: &Rig, task: TaskId) -> PipeWriter {
    let (reader, writer) = std::io::pipe().unwrap();
    rig.output.attach_task(task, None, OwnedFd::from(reader));
    rig.output.wake();
    writer
}

fn told(rig: &Rig) -> (TaskId, Vec<u8>) {
    match rig.note() {
        Note::TaskOutput { task, tail } => (task, tail),
        other => panic!("expected a task's output, got {other:?}"),
    }
}

#[test]
fn the_end_of_a_flood_is_told_once_when_the_pipe_ends() {
    let rig = Rig::new();
    let mut pipe = attach(&rig, 3);
    let mut expected = OutputTail::default();
    for number in 0..200_000 {
        let line = format!("line {number}\n");
        pipe.write_all(line.as_bytes()).unwrap();
        expected.push(line.as_bytes());
    }
    drop(pipe);
    assert_eq!(told(&rig), (3, expected.into_bytes()));
    rig.output.task_exited(3);
    drop(attach(&rig, 4));
    assert_eq!(told(&rig), (4, Vec::new()), "nothing more of the first one");
}

#[test]
fn what_was_written_when_the_leader_ends_is_told_though_others_hold_the_pipe() {
    let rig = Rig::new();
    let mut held = attach(&rig, 3);
    held.write_all(b"\nlast words").unwrap();
    rig.output.task_exited(3);
    rig.output.wake();
    assert_eq!(told(&rig), (3, b"last words".to_vec()));
    wait_until("the pipe is closed", || held.write_all(b"more").is_err());
}
