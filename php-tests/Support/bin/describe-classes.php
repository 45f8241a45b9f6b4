<?php

/**
 * Prints, as JSON, the classes of the extension as PHP's Reflection shows them. With an argument: those of a stub, in a PHP
 * that has not loaded the extension.
 */

declare(strict_types=1);

$isOurs = static fn (string $name): bool => $name === 'ResilientRedis' || str_starts_with($name, 'ResilientRedis\\');
if (isset($argv[1])) {
    if (extension_loaded('resilient_redis')) {
        fwrite(STDERR, "the extension is loaded, so the stub cannot be\n");
        exit(1);
    }
    require $argv[1];
}

$type = static function (ReflectionMethod $method): string {
    return (string) ($method->getReturnType() ?? $method->getTentativeReturnType());
};
$classes = [];
foreach (array_filter([...get_declared_classes(), ...get_declared_interfaces()], $isOurs) as $name) {
    $class = new ReflectionClass($name);
    $methods = [];
    foreach ($class->getMethods() as $method) {
        if ($method->class !== $name) {
            continue;
        }
        $parameters = array_map(static fn (ReflectionParameter $parameter): string => implode('', [
            $parameter->getType(), ' ', $parameter->isPassedByReference() ? '&' : '', $parameter->isVariadic() ? '...' : '', '$',
            $parameter->getName(),
            $parameter->isDefaultValueAvailable() ? ' = ' . json_encode($parameter->getDefaultValue()) : '',
        ]), $method->getParameters());
        $methods[$method->name] = [
            'signature' => implode(' ', Reflection::getModifierNames($method->getModifiers())) . ' function ' . $method->name . '('
                . implode(', ', $parameters) . '): ' . $type($method),
            'names' => array_map(static fn (ReflectionParameter $parameter): string => $parameter->getName(), $method->getParameters()),
            'doc' => (string) $method->getDocComment(),
        ];
    }
    ksort($methods);
    $interfaces = $class->getInterfaceNames();
    sort($interfaces);
    $properties = [];
    foreach ($class->getProperties() as $property) {
        // What is private is nobody else's business.
        if ($property->class === $name && !$property->isPrivate()) {
            $properties[] = implode(' ', Reflection::getModifierNames($property->getModifiers())) . ' $' . $property->name;
        }
    }
    sort($properties);
    $constants = $class->getConstants();
    $classes[$name] = [
        'class' => implode(' ', Reflection::getModifierNames($class->getModifiers())) . ($class->isInterface() ? ' interface' : ' class'),
        'parent' => $class->getParentClass() ? $class->getParentClass()->name : null,
        'interfaces' => $interfaces,
        'constants' => $constants,
        'properties' => $properties,
        'methods' => $methods,
    ];
}
ksort($classes);
echo json_encode($classes, JSON_THROW_ON_ERROR | JSON_PRESERVE_ZERO_FRACTION), "\n";
