"""Magento says nothing by itself: what changed is found when a feed looks, as often as its schedule says.

Adobe Commerce alone can (I/O Events), and tells its own cloud.
"""
