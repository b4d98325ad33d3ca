variable "fault_scenario" {
  type        = string
  default     = "normal"
  description = "What the service's configuration does to it."

  validation {
    condition     = contains(keys(local.pool), var.fault_scenario)
    error_message = "One of normal, db_pool_exhaustion, deployment_config_bug, memory_leak and cascading_failure."
  }
}

variable "code_archive" {
  type        = string
  default     = "demo-checkout-service.zip"
  description = "The archive that deploy/demo/build.sh makes."
}

variable "architecture" {
  type        = string
  default     = "x86_64"
  description = "What the archive's binary was built for: x86_64 or arm64."
}

variable "alarm_topic" {
  type        = string
  description = "ARN of the topic that tells Incident Commander, an output of the module commander."
}
