"""Import Gateway: policy-driven image import behind the OpenStack Images API v2."""
