"""Random trees and requests in numbers, and proof that the properties can fail."""
