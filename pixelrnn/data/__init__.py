"""Images: LightningDataModules that know no model."""
