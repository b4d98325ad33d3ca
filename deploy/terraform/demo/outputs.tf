output "live_version" {
  description = "What the alias serves."
  value       = aws_lambda_function.checkout.version
}

output "demo_url" {
  description = "Takes one order, signed."
  value       = aws_lambda_function_url.live.function_url
}
