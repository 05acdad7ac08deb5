# nomad job run packaging/container/nomad.hcl
job "example" {
  datacenters = ["*"]
  type        = "service"

  group "example" {
    count = 3

    network {
      port "http" {
        to = 80
      }
    }

    service {
      name     = "example"
      port     = "http"
      provider = "nomad"

      check {
        type     = "http"
        path     = "/"
        interval = "10s"
        timeout  = "2s"
      }
    }

    task "example" {
      driver = "docker"

      # SIGTERM is an orderly shutdown; longer than shutdown_timeout (25).
      kill_signal  = "SIGTERM"
      kill_timeout = "30s"

      config {
        image = "example:latest"
        ports = ["http"]
        init  = false
      }

      resources {
        cpu    = 200
        memory = 128
      }
    }
  }
}
