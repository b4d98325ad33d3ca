variable "vpc_id" {
  type        = string
  description = "The network of the instance. It needs a way out to Slack and AWS by HTTPS, and none in."
}

variable "subnet_id" {
  type        = string
  description = "One subnet. The volume lives in its zone, so the instance is always replaced there."
}

variable "availability_zone" {
  type        = string
  description = "The subnet's zone."
}

variable "instance_type" {
  type        = string
  default     = "t4g.small"
  description = "An Arm type for an Arm binary, an x86 type (with an x86 image_parameter) for an x86 binary."
}

variable "image_parameter" {
  type        = string
  default     = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64"
  description = "The public parameter that names the image."
}

variable "volume_size" {
  type        = number
  default     = 10
  description = "GiB for the database."
}

variable "artifact_bucket" {
  type        = string
  description = "The bucket that holds incident-commander, incident-commander.service and the files of deploy/instance."
}

variable "artifact_prefix" {
  type        = string
  default     = "incident-commander/"
  description = "Where in the bucket, with a slash at its end."
}

variable "configuration_parameter" {
  type        = string
  default     = "/incident-commander/configuration"
  description = "The Parameter Store name that holds commander.toml. A change of it is taken within five minutes."
}

variable "alarm_endpoint" {
  type        = string
  default     = ""
  description = "https://…/aws/sns, where SNS reaches the bot through an HTTPS front of yours, which this module does not make (docs/install.md, step 5). Empty: alarms come by Slack alone, and changes by CloudTrail."
}

variable "further_role_arns" {
  type        = list(string)
  default     = []
  description = "Roles of other accounts that the configuration names as read_role_arn or write_role_arn of a service."
}
