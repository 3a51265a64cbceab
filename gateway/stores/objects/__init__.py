"""Object stores of other people's making: Amazon S3 and what speaks its API, Google's and Azure's."""
