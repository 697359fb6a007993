"""PrestaShop tells nobody anything by itself: what changed is asked for."""
