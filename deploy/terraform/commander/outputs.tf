output "secret_arn" {
  description = "Put Slack's tokens in here; the bot takes them within five minutes."
  value       = aws_secretsmanager_secret.slack.arn
}

output "topic_arn" {
  description = "List it under [aws] topics. What notifies it reaches the bot where alarm_endpoint is set."
  value       = aws_sns_topic.alarms.arn
}

output "read_role_arn" {
  description = "[aws] read_role_arn"
  value       = aws_iam_role.read.arn
}

output "write_role_arn" {
  description = "[aws] write_role_arn"
  value       = aws_iam_role.write.arn
}

output "instance_role_arn" {
  description = "Whom the trust policies of further_role_arns name."
  value       = aws_iam_role.instance.arn
}
