//! `type = forking`.

use super::bench::quick;
use super::*;
use crate::models::ProgramType;

#[test]
fn the_output_of_a_program_in_the_background_is_read_until_its_main_process_has_ended() {
    let config =
        ProgramConfig { program_type: ProgramType::Forking, pidfile: Some("/run/web.pid".to_owned()), ..quick("web") };
    let mut bench = Bench::new(&[config]);
    bench.system.lingers = true;
    bench.system.main.insert(0, 77);
    bench.start(1, "web");
    assert_eq!(bench.state("web"), ProcessState::Starting);
    bench.end(0, Exit::Code(0));
    assert_eq!((bench.state("web"), bench.row("web").pid), (ProcessState::Running, Some(77)));
    assert!(!bench.entry(0).draining, "its last words were not spoken yet");
    bench.system.lingers = false;
    bench.end(0, Exit::Code(3));
    assert!(bench.entry(0).draining, "they are read now");
    assert_ne!(bench.state("web"), ProcessState::Running);
}
