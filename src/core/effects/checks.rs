//! Health checks by tcp: the worker threads. Those by script are [tasks](super::tasks).

use std::time::Duration;

use super::super::effect::{External, Input};
use super::Effects;
use crate::api::ProcId;
use crate::health::{CheckRequest, HealthCheckResult, TcpHealthChecker, Worker};
use crate::models::{HealthCheckType, ProgramConfig};
use crate::process::Generation;

impl Effects {
    /// Begins a health check; what is wrong with that counts as a failed one.
    pub(super) fn check_health(&mut self, id: ProcId, generation: Generation, config: &ProgramConfig) -> Option<Input> {
        let message = self.begin_check(id, generation, config).err()?;
        Some(Input::Health { id, generation, result: HealthCheckResult { healthy: false, message } })
    }

    fn begin_check(&mut self, id: ProcId, generation: Generation, config: &ProgramConfig) -> Result<(), String> {
        let check = &config.healthcheck;
        let (HealthCheckType::Tcp, Some(port)) = (check.check_type, check.port) else {
            return Err("the health check's settings are incomplete".to_owned());
        };
        let checker = TcpHealthChecker::new(&check.host, port, Duration::from_secs(u64::from(check.timeout)));
        let taken = self.worker(id, &config.name)?.request(CheckRequest { generation, checker });
        if taken.is_err_and(|reason| reason == crate::health::THREAD_DIED) {
            self.workers.remove(&id); // The next check gets a new one.
        }
        taken.map_err(str::to_owned)
    }

    fn worker(&mut self, id: ProcId, name: &str) -> Result<&Worker, String> {
        if !self.workers.contains_key(&id) {
            let inputs = self.parts.inputs.clone();
            let report = move |generation, result| {
                let _ = inputs.send(External::Input(Input::Health { id, generation, result }));
            };
            let worker = Worker::start(name, report).map_err(|error| format!("no thread for the check: {error}"))?;
            self.workers.insert(id, worker);
        }
        self.workers.get(&id).ok_or_else(|| "no thread for the check".to_owned())
    }
}
