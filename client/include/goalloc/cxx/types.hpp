/* Of goalloc.hpp: what is known of a type, and what a program may say of its own: its name, whether
 * it holds pointers, whether other processes can use it. */
#ifndef GOALLOC_CXX_TYPES_HPP
#define GOALLOC_CXX_TYPES_HPP

#include <any>
#include <cstddef>
#include <functional>
#include <memory>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#ifdef __cpp_rtti
#include <typeinfo>
#endif

namespace goalloc
{

/* The name of T in all programs that share it, and with it its layout. By default the one that the
 * compiler gives it, which g++ and clang++ agree on. Specialise it to have another, say one with a
 * version; without RTTI, and for types of unnamed namespaces, that must be done. */
template <class T> struct type_name {
    static std::string_view get() noexcept
    {
#ifdef __cpp_rtti
        return typeid(T).name();
#else
        static_assert(!sizeof(T), "without RTTI specialise goalloc::type_name for this type");
        return {};
#endif
    }
};

/* Whether T never holds pointers into the heap, so that collections need not look into it
 * (GOALLOC_NOSCAN). By default what is too small for a pointer, but no raw bytes, and
 * floating-point numbers. Specialise it as std::true_type for structs of such. */
template <class T>
struct is_noscan : std::bool_constant<std::is_floating_point_v<T> ||
                                      (std::is_integral_v<T> && sizeof(T) < sizeof(void *) &&
                                       !std::is_same_v<std::remove_cv_t<T>, unsigned char>)> {
};

/* Whether T may be published; specialised below. A program may say std::true_type of a type that
 * is refused, say one with virtual functions that the other processes never call. */
template <class T> struct is_shareable;

namespace detail
{

template <class T> struct is_bound_to_process : std::false_type {
};
template <class T> struct is_bound_to_process<std::allocator<T>> : std::true_type {
};
template <class T> struct is_bound_to_process<std::default_delete<T>> : std::true_type {
};
template <class T> struct is_bound_to_process<std::shared_ptr<T>> : std::true_type {
};
template <class T> struct is_bound_to_process<std::weak_ptr<T>> : std::true_type {
};
template <class T> struct is_bound_to_process<std::function<T>> : std::true_type {
};
template <> struct is_bound_to_process<std::any> : std::true_type {
};

template <class T, class = void> struct has_foreign_memory : std::false_type {
};
template <class T>
struct has_foreign_memory<T, std::void_t<typename T::allocator_type>>
    : is_bound_to_process<typename T::allocator_type> {
};

template <class T, class = void> struct has_shareable_values : std::true_type {
};
template <class T>
struct has_shareable_values<T, std::void_t<typename T::value_type>>
    : std::disjunction<std::is_same<T, typename T::value_type>,
                       is_shareable<std::remove_cv_t<typename T::value_type>>> {
};

/* What else a type says that it has: a queue its container, a map what compares, a path its string.
 */
template <class T> using container_of = typename T::container_type;
template <class T> using string_of = typename T::string_type;
template <class T> using key_compare_of = typename T::key_compare;
template <class T> using hasher_of = typename T::hasher;
template <class T> using key_equal_of = typename T::key_equal;

template <template <class> class Part, class T, class = void>
struct has_shareable : std::true_type {
};
template <template <class> class Part, class T>
struct has_shareable<Part, T, std::void_t<Part<T>>> : is_shareable<Part<T>> {
};
template <class T>
struct has_shareable_parts
    : std::conjunction<has_shareable_values<T>, has_shareable<container_of, T>,
                       has_shareable<string_of, T>, has_shareable<key_compare_of, T>,
                       has_shareable<hasher_of, T>, has_shareable<key_equal_of, T>> {
};

template <class T>
inline constexpr bool is_code =
    std::is_function_v<std::remove_pointer_t<T>> || std::is_member_pointer_v<T>;

} // namespace detail

template <class T>
struct is_shareable
    : std::bool_constant<!std::is_polymorphic_v<T> && !std::is_reference_v<T> &&
                         !detail::is_code<T> && !detail::is_bound_to_process<T>::value &&
                         !detail::has_foreign_memory<T>::value &&
                         detail::has_shareable_parts<T>::value> {
};
template <> struct is_shareable<void> : std::true_type {
};
template <class T> struct is_shareable<T[]> : is_shareable<std::remove_cv_t<T>> {
};
template <class T, std::size_t N> struct is_shareable<T[N]> : is_shareable<std::remove_cv_t<T>> {
};
template <class A, class B>
struct is_shareable<std::pair<A, B>>
    : std::conjunction<is_shareable<std::remove_cv_t<A>>, is_shareable<std::remove_cv_t<B>>> {
};
template <class... Ts>
struct is_shareable<std::tuple<Ts...>> : std::conjunction<is_shareable<std::remove_cv_t<Ts>>...> {
};
template <class... Ts>
struct is_shareable<std::variant<Ts...>> : std::conjunction<is_shareable<std::remove_cv_t<Ts>>...> {
};
template <class T, class D>
struct is_shareable<std::unique_ptr<T, D>>
    : std::conjunction<std::negation<detail::is_bound_to_process<D>>, is_shareable<D>> {
};

} // namespace goalloc

#endif
