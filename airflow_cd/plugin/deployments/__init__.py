"""The page of what runs where: services by environments."""
